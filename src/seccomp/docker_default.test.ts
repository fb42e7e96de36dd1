import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Filter } from "../../test/helpers/bpf_interpreter.ts";
import { SHARED_DATA, sharedData, testIf } from "../../test/helpers/requires.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, FAMILIES } from "./architectures.ts";
import { compileSeccomp } from "./compile.ts";
import { dockerDefaultProfile } from "./docker_default.ts";
import { resolveProfile } from "./resolve.ts";
import { parseProfileText } from "./validate.ts";

const DEFAULT_CAPABILITIES =
  "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FSETID CAP_FOWNER CAP_MKNOD CAP_NET_RAW CAP_SETGID CAP_SETUID CAP_SETFCAP CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_SYS_CHROOT CAP_KILL CAP_AUDIT_WRITE".split(
    " ",
  );

const resolve = (goArch: "amd64" | "arm64", capabilities = DEFAULT_CAPABILITIES) =>
  resolveProfile(dockerDefaultProfile(), { capabilities, kernelRelease: "6.1.0-18", goArch });

testIf(
  [sharedData("docker-seccomp-default.json")],
  "the table is Docker's profile, rule by rule",
  () => {
    const text = readFileSync(join(SHARED_DATA, "docker-seccomp-default.json"), "utf8");
    const theirs = parseProfileText(text);
    const ours = dockerDefaultProfile();
    expect(ours.syscalls.length).toBe(theirs.syscalls.length);
    for (const [index, rule] of theirs.syscalls.entries())
      expect(ours.syscalls[index]).toEqual(rule);
    expect(ours).toEqual(theirs);
  },
);

test("with the default capabilities it has 371 names on amd64 and 375 on arm64", () => {
  for (const [arch, count] of [
    ["amd64", 371],
    ["arm64", 375],
  ] as const) {
    const names = resolve(arch).syscalls?.flatMap((rule) => rule.names);
    expect(new Set(names).size).toBe(count);
  }
});

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;

test("the program guards sockets, personalities, namespaces and newer calls", () => {
  const { program } = compileSeccomp(resolve("amd64"), "x64");
  const filter = new Filter(program);
  filter.verify();
  const numbers = FAMILIES.x64.get("SCMP_ARCH_X86_64")?.syscalls() ?? new Map();
  const run = (name: string, ...args: bigint[]) =>
    filter.run({ arch: AUDIT_ARCH_X86_64, nr: numbers.get(name) as number, args });
  const families = Array.from({ length: 64 }, (_, family) => run("socket", BigInt(family)));
  expect(families.flatMap((value, family) => (value === ALLOW ? [] : [family]))).toEqual([38, 40]);
  expect(families[38]).toBe(EPERM);
  expect(run("personality", 0n)).toBe(ALLOW);
  expect(run("personality", 0xffffffffn)).toBe(ALLOW);
  expect(run("personality", 0x0040000n)).toBe(EPERM);
  expect(run("clone", 17n)).toBe(ALLOW);
  for (let bit = 0n; bit < 64n; bit++)
    expect([bit, run("clone", 1n << bit)]).toEqual([
      bit,
      (0x7e020000n & (1n << bit)) === 0n ? ALLOW : EPERM,
    ]);
  expect(run("clone3")).toBe(ENOSYS);
  for (const name of ["mount", "unshare", "setns", "bpf", "keyctl", "add_key", "kexec_load"])
    expect([name, run(name)]).toEqual([name, EPERM]);
  expect(run("removexattrat")).toBe(ALLOW);
  expect(run("open_tree_attr")).toBe(ENOSYS);
  expect(filter.run({ arch: AUDIT_ARCH_I386, nr: 102, args: [1n] })).toBe(ALLOW);
});

test("capabilities open what they are for", () => {
  const { program } = compileSeccomp(resolve("amd64", ["CAP_SYS_ADMIN", "CAP_BPF"]), "x64");
  const filter = new Filter(program);
  const run = (nr: number, ...args: bigint[]) => filter.run({ arch: AUDIT_ARCH_X86_64, nr, args });
  expect(run(56, 0x10000000n)).toBe(ALLOW);
  expect(run(435)).toBe(ALLOW);
  expect(run(165)).toBe(ALLOW);
  expect(run(321)).toBe(ALLOW);
  expect(run(161)).toBe(EPERM); // chroot, without CAP_SYS_CHROOT
});

test("ptrace needs Linux 4.8, or a capability", () => {
  const has = (kernelRelease: string, capabilities: string[] = []) =>
    resolveProfile(dockerDefaultProfile(), {
      capabilities,
      kernelRelease,
      goArch: "amd64",
    }).syscalls?.some(({ names }) => names.includes("ptrace"));
  expect(has("4.7.10-generic")).toBe(false);
  expect(has("4.8-rc1")).toBe(true);
  expect(has("4.10.0")).toBe(true);
  expect(has("5.0")).toBe(true);
  expect(has("3.99.1")).toBe(false);
  expect(has("4.4.0", ["CAP_SYS_PTRACE"])).toBe(true);
});

test("allowed calls without conditions look at no argument, so that the kernel need not run the filter", () => {
  const filter = new Filter(compileSeccomp(resolve("amd64"), "x64").program);
  let most = 0;
  for (let nr = 0; nr < 480; nr++) {
    const value = filter.run({ arch: AUDIT_ARCH_X86_64, nr, args: [] });
    if ([41, 56, 135].includes(nr)) continue; // socket, clone, personality
    expect([nr, filter.sawArguments]).toEqual([nr, false]);
    if (value === ALLOW) most = Math.max(most, filter.steps);
  }
  expect(most).toBeLessThan(16);
});
