import { expect, test } from "bun:test";
import { join } from "node:path";
import { compileProgram } from "./compile.ts";
import { dockerDefaultProfile } from "./docker_default.ts";
import { precompiled, profileDigest } from "./precompiled.ts";
import { PRECOMPILED } from "./precompiled_table.ts";
import { resolveProfile } from "./resolve.ts";
import { validateSeccomp } from "./validate.ts";

// Docker's default set, as in capabilities(7)'s names; a sibling module of this one has it too.
const CAPABILITIES =
  "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
    .split(" ")
    .map((name) => `CAP_${name}`);

const standard = (machine: "x64" | "arm64") =>
  resolveProfile(dockerDefaultProfile(), {
    capabilities: CAPABILITIES,
    kernelRelease: "6.1.0",
    goArch: machine === "x64" ? "amd64" : "arm64",
  });
const MACHINES = ["x64", "arm64"] as const;

const entry = (machine: "x64" | "arm64") => {
  const profile = standard(machine);
  return {
    rules: profile.syscalls?.length ?? 0,
    digest: profileDigest(profile) ?? "",
    program: compileProgram(profile, machine).toBase64(),
  };
};

test("the table has what the compiler makes", async () => {
  const made = { x64: entry("x64"), arm64: entry("arm64") };
  if (process.env["UPDATE_PRECOMPILED"] === "1") {
    const file = join(import.meta.dir, "precompiled_table.ts");
    const before = await Bun.file(file).text();
    const start = before.indexOf("export const");
    const lines = MACHINES.map((machine) => {
      const { rules, digest, program } = made[machine];
      return `  ${machine}: {\n    rules: ${rules},\n    digest: "${digest}",\n    program:\n      "${program}",\n  },\n`;
    });
    await Bun.write(
      file,
      `${before.slice(0, start)}export const PRECOMPILED = {\n${lines.join("")}};\n`,
    );
    return;
  }
  expect(PRECOMPILED).toEqual(made);
});

test("it is used for that profile, also when it comes from JSON, and for no other", () => {
  for (const machine of MACHINES) {
    const profile = standard(machine);
    const program = compileProgram(profile, machine);
    expect(precompiled(profile, machine)).toEqual(program);
    const read = validateSeccomp(JSON.parse(JSON.stringify(profile)));
    expect(precompiled(read, machine)).toEqual(program);
    const other = machine === "x64" ? "arm64" : "x64";
    expect(precompiled(profile, other)).toBeUndefined();
    expect(precompiled({ ...profile, defaultErrnoRet: 2 }, machine)).toBeUndefined();
    const [first, ...rest] = profile.syscalls ?? [];
    if (first === undefined) throw new Error("no rules");
    const fewer = [{ ...first, names: first.names.slice(1) }, ...rest];
    expect(precompiled({ ...profile, syscalls: fewer }, machine)).toBeUndefined();
  }
});

test("a profile with bigints has no digest, and is none of them", () => {
  const args = [{ index: 0, op: "SCMP_CMP_EQ" as const, value: 2n ** 64n - 1n }];
  const syscalls = [{ names: ["read"], action: "SCMP_ACT_ALLOW" as const, args }];
  expect(profileDigest({ defaultAction: "SCMP_ACT_ERRNO", syscalls })).toBeUndefined();
});
