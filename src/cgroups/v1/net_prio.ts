/** Priorities of packets on cgroup v1: Documentation/admin-guide/cgroup-v1/net_prio.rst. */
import type { CgroupWrite, Controller } from "../controller.ts";
import { limitError } from "../error.ts";
import type { Resources } from "../resources.ts";

function plan({ network }: Resources): CgroupWrite[] {
  return (network?.priorities ?? []).map(({ name, priority }) => {
    const write: CgroupWrite = {
      controller: "net_prio",
      file: "net_prio.ifpriomap",
      value: `${name} ${priority}`,
      field: "network.priorities",
    };
    if (!/^[^\s/]+$/.test(name)) throw limitError(write, "not the name of a network interface");
    return write;
  });
}

/** Priorities by network interface. */
export const netPrio: Controller = { name: "net_prio", always: false, plan };
