/** Marks for packets on cgroup v1: Documentation/admin-guide/cgroup-v1/net_cls.rst. */
import type { CgroupWrite, Controller } from "../controller.ts";
import type { Resources } from "../resources.ts";

function plan({ network }: Resources): CgroupWrite[] {
  if (network?.classID === undefined) return [];
  const value = String(network.classID);
  return [{ controller: "net_cls", file: "net_cls.classid", value, field: "network.classID" }];
}

/** The class of packets. */
export const netCls: Controller = { name: "net_cls", always: false, plan };
