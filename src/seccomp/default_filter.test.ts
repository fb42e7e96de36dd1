import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Filter } from "../../test/helpers/bpf_interpreter.ts";
import { EDGES, Random } from "../../test/helpers/seccomp_profiles.ts";
import { FAMILIES } from "./architectures.ts";
import { SOCK_FILTER_SIZE } from "./bpf.ts";
import { compileProgram } from "./compile.ts";
import { defaultFilter } from "./default_filter.ts";
import { dockerDefaultProfile } from "./docker_default.ts";
import type { FilterTemplate } from "./filter.ts";
import { PRECOMPILED } from "./precompiled_table.ts";
import { type ConditionalRule, returnValue, type Seccomp } from "./profile.ts";
import { resolveProfile } from "./resolve.ts";
import { DEFAULT_TEMPLATES } from "./template_table.ts";

const MACHINES = ["x64", "arm64"] as const;
type Machine = (typeof MACHINES)[number];

const context = (machine: Machine, capabilities: readonly string[]) => ({
  capabilities,
  kernelRelease: "6.1.0",
  goArch: machine === "x64" ? ("amd64" as const) : ("arm64" as const),
});

/** Every capability that a rule looks at. */
const SWITCHES = [
  ...new Set(dockerDefaultProfile().syscalls.flatMap(({ includes }) => includes?.caps ?? [])),
].sort();

/** Errnos that no call has; each stands for a capability. */
const MARK = 3000;

/** The profile in which calls that a capability allows return its mark. */
function markedProfile(machine: Machine, admin: readonly string[]): Seccomp {
  const profile = dockerDefaultProfile();
  const syscalls = profile.syscalls.map((rule): ConditionalRule => {
    const [capability, ...others] = rule.includes?.caps ?? [];
    if (capability === undefined || capability === "CAP_SYS_ADMIN") return rule;
    // The places to fill in are for calls that one capability allows whatever their arguments.
    expect([others, rule.args, rule.action]).toEqual([[], undefined, "SCMP_ACT_ALLOW"]);
    const { caps: _, ...includes } = rule.includes ?? {};
    const errnoRet = MARK + SWITCHES.indexOf(capability);
    return { ...rule, action: "SCMP_ACT_ERRNO", errnoRet, includes };
  });
  return resolveProfile({ ...profile, syscalls }, context(machine, admin));
}

function makeTemplate(machine: Machine, admin: readonly string[]): FilterTemplate {
  const program = compileProgram(markedProfile(machine, admin), machine);
  const view = new DataView(program.buffer);
  const places: Record<string, number[]> = {};
  for (let index = 0; index < program.length / SOCK_FILTER_SIZE; index++) {
    const isReturn = view.getUint16(index * SOCK_FILTER_SIZE, true) === 0x06;
    const value = view.getUint32(index * SOCK_FILTER_SIZE + 4, true);
    if (!isReturn || value < returnValue("SCMP_ACT_ERRNO", MARK)) continue;
    const capability = SWITCHES[value - returnValue("SCMP_ACT_ERRNO", MARK)];
    if (capability !== undefined) places[capability] = [...(places[capability] ?? []), index];
  }
  return { program: program.toBase64(), places };
}

const make = (machine: Machine) => ({
  usual: makeTemplate(machine, []),
  admin: makeTemplate(machine, ["CAP_SYS_ADMIN"]),
});

test("the table has what the compiler makes", async () => {
  const made = { x64: make("x64"), arm64: make("arm64") };
  if (process.env["UPDATE_PRECOMPILED"] === "1") {
    const file = join(import.meta.dir, "template_table.ts");
    const before = await Bun.file(file).text();
    const head = before.slice(0, before.indexOf("> = {") + 5);
    await Bun.write(file, `${head}${JSON.stringify(made).slice(1, -1)}};\n`);
    return;
  }
  expect(DEFAULT_TEMPLATES).toEqual(made);
});

/** Whether the filter of these capabilities decides as the profile compiled for them. */
function differences(machine: Machine, capabilities: readonly string[]): unknown[] {
  const profile = resolveProfile(dockerDefaultProfile(), context(machine, capabilities));
  const expected = new Filter(compileProgram(profile, machine));
  const filter = new Filter(defaultFilter(capabilities, machine).program);
  filter.verify();
  const wrong: unknown[] = [];
  for (const { audit, bit } of FAMILIES[machine].values())
    for (let number = 0; number <= 500; number++)
      for (const edge of EDGES) {
        const call = { arch: audit, nr: number | bit, args: Array(6).fill(edge) };
        if (filter.run(call) !== expected.run(call)) wrong.push({ capabilities, call });
      }
  return wrong;
}

describe.each(MACHINES)("the filter for capabilities on %s", (machine) => {
  test("decides as the compiled profile: none, each one, all, and random sets", () => {
    const random = new Random(5);
    const sets = [
      [],
      SWITCHES,
      ...SWITCHES.map((name) => [name]),
      ...SWITCHES.map((name) => ["CAP_SYS_ADMIN", name]),
      ...Array.from({ length: 12 }, () => SWITCHES.filter(() => random.below(2) === 0)),
    ];
    expect(sets.flatMap((set) => differences(machine, set)).slice(0, 3)).toEqual([]);
  }, 60_000);

  test("is the one made beforehand for Docker's own", () => {
    const { program } = defaultFilter(["CAP_CHOWN", "CAP_SYS_CHROOT"], machine);
    expect(program.toBase64()).toBe(PRECOMPILED[machine].program);
  });
});
