/** Compiles the program into one executable, and doubts the result. */

import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { ARCHITECTURES, type Arch, hostArch } from "./arch.ts";
import { output } from "./command.ts";
import { elfMachine } from "./elf.ts";

export interface ExecutableOptions {
  readonly entry: string;
  readonly target: Arch;
  readonly outdir: string;
  /** Constants by name; each becomes a string literal in the program. */
  readonly constants: Readonly<Record<string, string>>;
  /** The folder with the default image for the target. */
  readonly imageFolder: string;
}

/** A build's file name is part of its bytes, so it is the same for all architectures. */
const NAME = "mydocker";
/** By this name the executable is an OCI runtime. */
const OCI_NAME = "mydocker-oci";

/**
 * Builds in a temporary folder and puts the executable into its place only when it has proved to
 * start, so that a failed build leaves the last good one.
 *
 * @returns The path of the executable.
 */
export async function buildExecutable(options: ExecutableOptions): Promise<string> {
  mkdirSync(options.outdir, { recursive: true });
  const folder = mkdtempSync(join(options.outdir, ".build-"));
  try {
    const built = join(folder, NAME);
    await compile(options, built);
    await verify(built, options.target);
    symlinkSync(NAME, join(folder, OCI_NAME));
    for (const name of [NAME, OCI_NAME]) renameSync(join(folder, name), join(options.outdir, name));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return join(options.outdir, NAME);
}

async function compile(options: ExecutableOptions, outfile: string): Promise<void> {
  const { logs, success } = await Bun.build({
    entrypoints: [options.entry],
    compile: {
      target: ARCHITECTURES[options.target].bun,
      outfile,
      // These would come from the folder mydocker is called in, and be run as root.
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
      // Compiling functions that a command calls some hundred times takes longer than they do, and
      // two more threads; what really is called often is compiled all the same, a little later.
      jitPolicy: 10,
    },
    // The default format for bytecode is cjs, whose bytecode fails on import.meta.
    format: "esm",
    bytecode: true,
    minify: true,
    // A chunk for each dynamic import, so that a command loads its own code only: all of it in one
    // chunk took `version` from 1.2 to 1.5 times an empty program's time.
    splitting: true,
    sourcemap: "none",
    env: "disable",
    define: Object.fromEntries(
      Object.entries(options.constants).map(([name, value]) => [name, JSON.stringify(value)]),
    ),
    plugins: [imagePlugin(options.imageFolder)],
    throw: false,
  });
  // A failure to make bytecode is an error in the logs, yet a success.
  if (!success || logs.length > 0) {
    throw new Error(`bun could not build it:\n${logs.map((log) => Bun.inspect(log)).join("\n")}`);
  }
}

/** Takes the default image from the target's folder instead of the one that is in the sources. */
function imagePlugin(folder: string): Bun.BunPlugin {
  return {
    name: "default-image",
    setup(build) {
      build.onResolve({ filter: /^\.\/default\/(image\.json|rootfs\.tar\.zst)$/ }, ({ path }) => ({
        path: resolve(folder, path.replace("./default/", "")),
      }));
    },
  };
}

async function verify(executable: string, target: Arch): Promise<void> {
  const header = await Bun.file(executable).slice(0, 64).bytes();
  const machine = elfMachine(header);
  if (machine !== ARCHITECTURES[target].elfMachine) {
    throw new Error(`the executable is for ELF machine ${machine}, not for ${target}`);
  }
  if (target !== hostArch()) return;
  try {
    output([executable, "version"]);
  } catch (cause) {
    throw new Error("the executable does not work", { cause });
  }
}
