import { expect, test } from "bun:test";
import { capabilityBits } from "../capabilities/capabilities.ts";
import { withGrantable } from "./grantable.ts";

const capabilities = {
  bounding: ["CAP_CHOWN", "CAP_SYS_TIME", "CAP_BPF"],
  effective: ["CAP_CHOWN", "CAP_SYS_TIME"],
  permitted: ["CAP_CHOWN", "CAP_SYS_TIME"],
  inheritable: [],
  ambient: [],
};
const asking = { capabilities };

test("capabilities that we do not hold are left out of every set, with a warning", () => {
  const warnings: string[] = [];
  const held = capabilityBits(["CAP_CHOWN", "CAP_KILL"]);
  const granted = withGrantable(asking, [], (message) => warnings.push(message), held);
  expect(granted.capabilities).toEqual({
    bounding: ["CAP_CHOWN"],
    effective: ["CAP_CHOWN"],
    permitted: ["CAP_CHOWN"],
    inheritable: [],
    ambient: [],
  });
  expect(warnings).toEqual([
    "process.capabilities: mydocker does not hold, so cannot grant: CAP_SYS_TIME, CAP_BPF",
  ]);
});

test("in a user namespace, and when all are held, nothing is left out", () => {
  const fail = (message: string) => {
    throw new Error(message);
  };
  expect(withGrantable(asking, [{ type: "user" }], fail, 0n)).toBe(asking);
  const held = capabilityBits(capabilities.bounding);
  expect(withGrantable(asking, [], fail, held)).toBe(asking);
});
