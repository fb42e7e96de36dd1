/** libseccomp as an oracle: the programs that it makes of profiles. */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  OPERATORS,
  returnValue,
  type Seccomp,
  type SyscallRule,
} from "../../src/seccomp/profile.ts";
import { program, type Requirement } from "./requires.ts";

/** gcc, and libseccomp with its header. */
export const libseccomp: readonly Requirement[] = [
  program("gcc"),
  existsSync("/usr/include/seccomp.h") ? undefined : "libseccomp-dev is not installed",
];

/** SCMP_ARCH_* (seccomp.h): the kernel's AUDIT_ARCH_*, and one of its own for x32. */
const TOKENS: Readonly<Record<string, number>> = {
  SCMP_ARCH_X86_64: 0xc000003e,
  SCMP_ARCH_X86: 0x40000003,
  SCMP_ARCH_X32: 0x4000003e,
  SCMP_ARCH_AARCH64: 0xc00000b7,
  SCMP_ARCH_ARM: 0x40000028,
};

/** enum scmp_compare starts from 1 in the order of the names. */
const operatorNumber = (op: (typeof OPERATORS)[number]): number => OPERATORS.indexOf(op) + 1;

function ruleLines({ names, action, errnoRet, args = [] }: SyscallRule): string[] {
  const conditions = args.map(
    ({ index, op, value, valueTwo = 0 }) => `${index} ${operatorNumber(op)} ${value} ${valueTwo}`,
  );
  // runc makes a rule of each condition when two are for one argument.
  const isTwice = new Set(args.map(({ index }) => index)).size < args.length;
  const lists = isTwice
    ? conditions.map((each) => `1 ${each}`)
    : [[conditions.length, ...conditions].join(" ")];
  return names.flatMap((name) =>
    lists.map((list) => `R ${returnValue(action, errnoRet)} ${name} ${list}`),
  );
}

function profileLines(profile: Seccomp, machine: "x64" | "arm64"): string[] {
  const own = machine === "arm64" ? [`A ${TOKENS["SCMP_ARCH_AARCH64"]}`, "M"] : [];
  return [
    `F ${returnValue(profile.defaultAction, profile.defaultErrnoRet)}`,
    ...own,
    ...(profile.architectures ?? []).map((arch) => `A ${TOKENS[arch]}`),
    ...(profile.syscalls ?? []).flatMap(ruleLines),
    "E",
  ];
}

/** What libseccomp makes of each profile: a program, or the errno with which it refuses a rule. */
export function libseccompPrograms(
  profiles: readonly Seccomp[],
  machine: "x64" | "arm64",
): (Uint8Array | number)[] {
  const folder = mkdtempSync(join(tmpdir(), "mydocker-libseccomp-"));
  try {
    const oracle = join(folder, "oracle");
    const source = join(import.meta.dir, "../fixtures/libseccomp_oracle.c");
    run(["gcc", "-O1", "-D_GNU_SOURCE", "-o", oracle, source, "-lseccomp"], "");
    const input = profiles.flatMap((profile) => profileLines(profile, machine)).join("\n");
    const lines = run([oracle], input).trim().split("\n");
    return lines.map((line) =>
      line.startsWith("error ") ? Number(line.slice(6)) : Uint8Array.fromHex(line),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run(command: string[], input: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, {
    stdin: Buffer.from(input),
    timeout: 20_000,
  });
  if (exitCode !== 0) throw new Error(`${command[0]} ended with ${exitCode}: ${stderr}`);
  return stdout.toString();
}
