/** Rules for `process` (config.md, "Process"). */
import { CAPABILITIES } from "../capabilities/capabilities.ts";
import {
  ABSOLUTE,
  BOOLEAN,
  CPU_LIST,
  ENVIRONMENT,
  ID,
  TEXT,
  TEXT_OR_NONE,
  TEXTS,
  UINT16,
  UINT64,
} from "./common_rules.ts";
import type { ConfigReader, Draft, Rule, StructRule } from "./config_reader.ts";
import { RLIMITS } from "./rlimits.ts";
import type { CapabilitySets, Process, Rlimit, Scheduler } from "./spec.ts";

/** In an order in which each is complete before another depends on it. */
const SETS = ["bounding", "permitted", "inheritable", "effective", "ambient"] as const;

const KNOWN: ReadonlySet<string> = new Set(CAPABILITIES);

/** Why the kernel would refuse a capability in a set (capset(2), capabilities(7)); undefined: it would not. */
function refusal(sets: CapabilitySets, set: keyof CapabilitySets, name: string) {
  if (!KNOWN.has(name)) return "not a capability";
  const isPermitted =
    set === "effective" || set === "ambient" ? sets.permitted.includes(name) : true;
  if (set === "effective" && !isPermitted) return "not in permitted";
  if (set === "ambient" && !(isPermitted && sets.inheritable.includes(name)))
    return "not in both permitted and inheritable";
  return undefined;
}

/** What cannot be granted is left out with a warning, and no error (config.md, "Linux Process"). */
function limitSets(sets: Draft<CapabilitySets>, reader: ConfigReader): void {
  for (const set of SETS) {
    for (const name of sets[set]) {
      const why = refusal(sets, set, name);
      if (why === undefined) continue;
      reader.warn(`${name} is left out: ${why}`, set);
      sets[set] = sets[set].filter((other) => other !== name);
    }
  }
}

const CAPABILITY_SET = { ...TEXTS, otherwise: [] } as const satisfies Rule;
const CAPABILITY_SETS = {
  kind: "struct",
  fields: {
    bounding: CAPABILITY_SET,
    effective: CAPABILITY_SET,
    permitted: CAPABILITY_SET,
    inheritable: CAPABILITY_SET,
    ambient: CAPABILITY_SET,
  },
  finish: limitSets,
  otherwise: {},
} as const satisfies Rule;

const RLIMIT = {
  kind: "struct",
  fields: {
    type: { kind: "word", words: Object.keys(RLIMITS), required: true },
    soft: { ...UINT64, required: true },
    hard: { ...UINT64, required: true },
  },
  finish({ soft, hard }: Rlimit, reader) {
    if (soft > hard) reader.fail(`${soft} is above hard, ${hard}`, "soft");
  },
} as const satisfies Rule;

const POLICIES = [
  "SCHED_OTHER",
  "SCHED_FIFO",
  "SCHED_RR",
  "SCHED_BATCH",
  "SCHED_ISO",
  "SCHED_IDLE",
  "SCHED_DEADLINE",
];
const SCHEDULER_FLAGS = [
  "SCHED_FLAG_RESET_ON_FORK",
  "SCHED_FLAG_RECLAIM",
  "SCHED_FLAG_DL_OVERRUN",
  "SCHED_FLAG_KEEP_POLICY",
  "SCHED_FLAG_KEEP_PARAMS",
  "SCHED_FLAG_UTIL_CLAMP_MIN",
  "SCHED_FLAG_UTIL_CLAMP_MAX",
];

/** sched(7): which policy takes what. */
function checkScheduler(scheduler: Scheduler, reader: ConfigReader): void {
  const { policy, priority = 0, nice = 0 } = scheduler;
  const isRealTime = policy === "SCHED_FIFO" || policy === "SCHED_RR";
  if (isRealTime && priority === 0) reader.fail(`0, expected 1 to 99 with ${policy}`, "priority");
  if (!isRealTime && priority !== 0) {
    reader.fail(`${priority}, which is for SCHED_FIFO and SCHED_RR only`, "priority");
  }
  if (nice !== 0 && policy !== "SCHED_OTHER" && policy !== "SCHED_BATCH") {
    reader.fail(`${nice}, which is for SCHED_OTHER and SCHED_BATCH only`, "nice");
  }
  const times = ["runtime", "deadline", "period"] as const;
  const given = times.find((key) => (scheduler[key] ?? 0) !== 0);
  if (policy === "SCHED_DEADLINE" ? given === undefined : given !== undefined) {
    const what = given === undefined ? "missing, expected with" : `${scheduler[given]}, only for`;
    reader.fail(`${what} SCHED_DEADLINE`, given ?? "runtime");
  }
}

const SCHEDULER = {
  kind: "struct",
  fields: {
    policy: { kind: "word", words: POLICIES, required: true },
    nice: { kind: "integer", min: -20, max: 19 },
    priority: { kind: "integer", min: 0, max: 99 },
    flags: { kind: "list", of: { kind: "word", words: SCHEDULER_FLAGS }, otherwise: [] },
    runtime: UINT64,
    deadline: UINT64,
    period: UINT64,
  },
  finish: checkScheduler,
} as const satisfies Rule;

const IO_PRIORITY = {
  kind: "struct",
  fields: {
    class: {
      kind: "word",
      words: ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"],
      required: true,
    },
    priority: { kind: "integer", min: 0, max: 7, otherwise: 0 },
  },
} as const satisfies Rule;

const USER = {
  kind: "struct",
  fields: {
    uid: { ...ID, otherwise: 0 },
    gid: { ...ID, otherwise: 0 },
    umask: { kind: "integer", min: 0, max: 0o777 },
    additionalGids: { kind: "list", of: ID, otherwise: [] },
  },
  otherwise: {},
} as const satisfies Rule;

/** `process`. */
export const PROCESS: StructRule & { required: true } = {
  kind: "struct",
  required: true,
  fields: {
    terminal: { ...BOOLEAN, otherwise: false },
    consoleSize: {
      kind: "struct",
      // What struct winsize holds (ioctl_tty(2)).
      fields: { height: { ...UINT16, required: true }, width: { ...UINT16, required: true } },
    },
    user: USER,
    args: { kind: "list", of: TEXT, filled: true, required: true },
    env: { ...ENVIRONMENT, otherwise: [] },
    cwd: { ...ABSOLUTE, required: true },
    capabilities: CAPABILITY_SETS,
    rlimits: { kind: "list", of: RLIMIT, otherwise: [] },
    noNewPrivileges: { ...BOOLEAN, otherwise: false },
    oomScoreAdj: { kind: "integer", min: -1000, max: 1000 },
    apparmorProfile: TEXT_OR_NONE,
    selinuxLabel: TEXT_OR_NONE,
    scheduler: SCHEDULER,
    ioPriority: IO_PRIORITY,
    execCPUAffinity: { kind: "struct", fields: { initial: CPU_LIST, final: CPU_LIST } },
  },
  finish(process: Draft<Process>, reader) {
    if (!process.terminal) delete process.consoleSize; // "MUST ignore" it, says the specification
    const types: string[] = [];
    for (const { type } of process.rlimits) {
      const first = types.indexOf(type);
      if (first >= 0)
        reader.fail(`"${type}" again, after rlimits[${first}]`, "rlimits", types.length, "type");
      types.push(type);
    }
  },
};
