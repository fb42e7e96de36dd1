/** The processor architectures a build can be for, by the names Bun gives them. */
export const ARCHITECTURES = {
  x64: { debian: "amd64", oci: "amd64", bun: "bun-linux-x64", elfMachine: 62 /* EM_X86_64 */ },
  arm64: {
    debian: "arm64",
    oci: "arm64",
    bun: "bun-linux-arm64",
    elfMachine: 183 /* EM_AARCH64 */,
  },
} as const;

export type Arch = keyof typeof ARCHITECTURES;

/**
 * The architecture of this machine.
 *
 * @throws {Error} If there is no mydocker for it.
 */
export function hostArch(): Arch {
  return parseArch(process.arch);
}

export function parseArch(name: string): Arch {
  if (!Object.hasOwn(ARCHITECTURES, name)) {
    throw new Error(`no such target: ${name} (there are ${Object.keys(ARCHITECTURES).join(", ")})`);
  }
  return name as Arch;
}
