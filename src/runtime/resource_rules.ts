/** Rules for `linux.resources` (config-linux.md, "Control groups"). */
import {
  BOOLEAN,
  CPU_LIST,
  FILLED,
  INT64,
  LIMIT,
  TEXT,
  UINT16,
  UINT32,
  UINT64,
} from "./common_rules.ts";
import type { Rule, StructRule } from "./config_reader.ts";

const LAST = Number.MAX_SAFE_INTEGER;
/** -1 stands for all of them. */
const ANY_NUMBER = { kind: "integer", min: -1, max: LAST } as const satisfies Rule;
const NUMBER = { kind: "integer", min: 0, max: LAST, required: true } as const satisfies Rule;

const THROTTLES = {
  kind: "list",
  of: {
    kind: "struct",
    fields: { major: NUMBER, minor: NUMBER, rate: { ...UINT64, otherwise: 0 } },
  },
} as const satisfies Rule;

const BLOCK_IO = {
  kind: "struct",
  fields: {
    weight: UINT16,
    leafWeight: UINT16,
    weightDevice: {
      kind: "list",
      of: {
        kind: "struct",
        fields: { major: NUMBER, minor: NUMBER, weight: UINT16, leafWeight: UINT16 },
      },
    },
    throttleReadBpsDevice: THROTTLES,
    throttleWriteBpsDevice: THROTTLES,
    throttleReadIOPSDevice: THROTTLES,
    throttleWriteIOPSDevice: THROTTLES,
  },
} as const satisfies Rule;

const MEMORY = {
  kind: "struct",
  fields: {
    limit: LIMIT,
    reservation: LIMIT,
    swap: LIMIT,
    kernel: LIMIT,
    kernelTCP: LIMIT,
    swappiness: { kind: "integer", min: 0, max: 100 },
    disableOOMKiller: BOOLEAN,
    checkBeforeUpdate: BOOLEAN,
    useHierarchy: BOOLEAN,
  },
  finish(memory: { useHierarchy?: boolean }) {
    delete memory.useHierarchy; // Linux 5.11 has nothing else
  },
} as const satisfies Rule;

const CPU = {
  kind: "struct",
  fields: {
    shares: UINT64,
    quota: LIMIT,
    period: UINT64,
    burst: UINT64,
    realtimeRuntime: INT64,
    realtimePeriod: UINT64,
    cpus: CPU_LIST,
    mems: CPU_LIST,
    idle: { kind: "integer", min: 0, max: 1 },
  },
} as const satisfies Rule;

const DEVICE_RULE = {
  kind: "struct",
  fields: {
    allow: { ...BOOLEAN, required: true },
    type: { kind: "word", words: ["a", "b", "c"], emptyIsNone: true },
    major: ANY_NUMBER,
    minor: ANY_NUMBER,
    access: {
      kind: "text",
      check: {
        ok: (text) => text === "rwm" || /^[rwm]*$/.test(text),
        expected: "letters out of r, w and m",
      },
      emptyIsNone: true,
    },
  },
} as const satisfies Rule;

/** Names that are joined to a directory of a cgroup, and must not lead out of it. */
const IS_CGROUP_FILE = {
  ok: (text: string) => /^[\w-]+(\.[\w-]+)+$/.test(text),
  expected: "the name of a cgroup's file, such as memory.high",
};

/** `linux.resources`; what `update --resources` reads too. */
export const RESOURCES: StructRule & { otherwise: object } = {
  kind: "struct",
  otherwise: {},
  fields: {
    devices: { kind: "list", of: DEVICE_RULE },
    memory: MEMORY,
    cpu: CPU,
    pids: { kind: "struct", fields: { limit: LIMIT } },
    blockIO: BLOCK_IO,
    hugepageLimits: {
      kind: "list",
      of: {
        kind: "struct",
        fields: {
          pageSize: {
            kind: "text",
            check: { ok: (text) => /^[1-9]\d*[KMG]B$/.test(text), expected: "a size such as 2MB" },
            required: true,
          },
          limit: { ...UINT64, required: true },
        },
      },
    },
    network: {
      kind: "struct",
      fields: {
        classID: UINT32,
        priorities: {
          kind: "list",
          of: {
            kind: "struct",
            fields: {
              name: { ...FILLED, required: true },
              priority: { ...UINT32, required: true },
            },
          },
        },
      },
    },
    rdma: {
      kind: "map",
      of: { kind: "struct", fields: { hcaHandles: UINT32, hcaObjects: UINT32 } },
    },
    unified: { kind: "map", of: TEXT, keys: IS_CGROUP_FILE },
  },
};
