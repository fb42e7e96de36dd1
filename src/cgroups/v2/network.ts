/** `network` on cgroup v2, which has no such controllers: its packets are matched by cgroup path instead. */
import { limitError } from "../error.ts";
import type { Resources } from "../resources.ts";
import { netCls } from "../v1/net_cls.ts";
import { netPrio } from "../v1/net_prio.ts";

/** @throws {CgroupError} when anything is asked for */
export function refuseNetwork(resources: Resources): void {
  const none = () => undefined;
  const [write] = [...netCls.plan(resources, none), ...netPrio.plan(resources, none)];
  if (write !== undefined) throw limitError(write, "cgroup v2 has no such limit");
}
