/** The controllers of both versions. */
import type { Controller } from "./controller.ts";
import { rdma } from "./rdma_plan.ts";
import { blkio } from "./v1/blkio.ts";
import { cpu as cpuV1 } from "./v1/cpu.ts";
import { cpuacct } from "./v1/cpuacct.ts";
import { cpuset as cpusetV1 } from "./v1/cpuset.ts";
import { devices as devicesV1 } from "./v1/devices.ts";
import { freezer } from "./v1/freezer.ts";
import { hugetlb as hugetlbV1 } from "./v1/hugetlb.ts";
import { memory as memoryV1 } from "./v1/memory.ts";
import { netCls } from "./v1/net_cls.ts";
import { netPrio } from "./v1/net_prio.ts";
import { pids as pidsV1 } from "./v1/pids.ts";
import { cpu as cpuV2 } from "./v2/cpu.ts";
import { cpuset as cpusetV2 } from "./v2/cpuset.ts";
import { devices as devicesV2 } from "./v2/devices.ts";
import { hugetlb as hugetlbV2 } from "./v2/hugetlb.ts";
import { io } from "./v2/io.ts";
import { memory as memoryV2 } from "./v2/memory.ts";
import { pids as pidsV2 } from "./v2/pids.ts";

export const V1_CONTROLLERS: readonly Controller[] = [
  memoryV1,
  cpuV1,
  cpuacct,
  pidsV1,
  freezer,
  cpusetV1,
  blkio,
  hugetlbV1,
  devicesV1,
  netCls,
  netPrio,
  rdma,
];

export const V2_CONTROLLERS: readonly Controller[] = [
  memoryV2,
  cpuV2,
  pidsV2,
  cpusetV2,
  io,
  hugetlbV2,
  devicesV2,
  rdma,
];
