/** RDMA devices: the same on both versions, Documentation/admin-guide/cgroup-v1/rdma.rst. */
import type { CgroupWrite, Controller } from "./controller.ts";
import { limitError } from "./error.ts";
import type { Resources } from "./resources.ts";

function plan({ rdma = {} }: Resources): CgroupWrite[] {
  return Object.entries(rdma).flatMap(([device, { hcaHandles, hcaObjects }]): CgroupWrite[] => {
    const limits = [
      ...(hcaHandles === undefined ? [] : [`hca_handle=${hcaHandles}`]),
      ...(hcaObjects === undefined ? [] : [`hca_object=${hcaObjects}`]),
    ];
    if (limits.length === 0) return [];
    const value = `${device} ${limits.join(" ")}`;
    const write = { controller: "rdma", file: "rdma.max", value, field: "rdma" } as const;
    if (!/^[^\s/]+$/.test(device)) throw limitError(write, "not the name of an RDMA device");
    return [write];
  });
}

/** Handles and objects of RDMA devices. */
export const rdma: Controller = { name: "rdma", always: false, plan };
