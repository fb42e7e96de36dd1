/** cgroup v2 alone, with all controllers: in a virtual machine, whatever this machine has. */
import { expect } from "bun:test";
import { testIf } from "../helpers/requires.ts";
import { runTestsInVm, vm } from "../helpers/vm.ts";

const TIMEOUT = 240_000;

/** What takes cgroups as it finds them; other tests of limits ask for a faster machine. */
const FILES = {
  cgroups_module: "",
  cgroup_operations: "",
  cgroup_devices: "",
  cgroup_oci: "",
  cgroup_limits: "set|137|there|left behind",
};

testIf(
  vm(),
  "everything of cgroups holds on v2",
  async () => {
    const { exitCode, out } = await runTestsInVm(FILES, { modules: ["overlay"], timeout: TIMEOUT });
    expect({ exitCode, failed: exitCode === 0 ? "" : out }).toEqual({ exitCode: 0, failed: "" });
    const passed = [...out.matchAll(/^ *(\d+) pass$/gm)].map(([, count]) => Number(count));
    expect(passed.length).toBe(Object.keys(FILES).length);
    for (const count of passed) expect(count).toBeGreaterThan(5);
  },
  TIMEOUT,
);
