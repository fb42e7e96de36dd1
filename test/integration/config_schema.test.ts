/** The validator beside the specification's own schema: the same verdicts but for what is listed here. */
import { expect } from "bun:test";
import { join } from "node:path";
import { ConfigError } from "../../src/runtime/config_error.ts";
import { parseConfig } from "../../src/runtime/validate.ts";
import { schemaProblems } from "../helpers/json_schema.ts";
import { fullConfig, leastConfig, put } from "../helpers/oci_config.ts";
import { program, SHARED_DATA, sharedData, testIf } from "../helpers/requires.ts";

const SCHEMA = "oci-schema/config-schema.json";

type Steps = readonly (string | number)[];

/** What every value is replaced by; undefined takes it away. */
const REPLACEMENTS: readonly unknown[] = [
  undefined,
  null,
  true,
  "",
  "x",
  "/x",
  "x\n",
  "-",
  "RLIMIT_X",
  "rslave",
  -1,
  0,
  1,
  1.5,
  0o20666,
  70000,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 70,
  [],
  {},
  [1],
  [""],
  { "": 1 },
];

interface Difference {
  /** of paths such as `hooks.*.env.#` */
  readonly paths: RegExp;
  readonly values: readonly unknown[];
  readonly why: string;
}

const TEXTS = ["", "x", "/x", "x\n", "-", "RLIMIT_X", "rslave"];
const TOO_LARGE = [0o20666, 70000, 2 ** 32 - 1, 2 ** 32, 2 ** 70];
const HUGE = [2 ** 32 - 1, 2 ** 32, 2 ** 70];
const MAX_ID = [2 ** 32 - 1];

/** The schema takes it, we do not. */
const STRICTER: readonly Difference[] = [
  {
    paths: /^(process|root|process\.args|linux|linux\.namespaces)$/,
    values: [undefined, [], {}, { "": 1 }],
    why: "required by the specification's text; without a mount namespace mounts would be the host's",
  },
  { paths: /^ociVersion$/, values: TEXTS, why: "SemVer, by the text" },
  { paths: /^process\.cwd$/, values: TEXTS, why: "absolute, by the text" },
  { paths: /(^|\.)env(\.#)?$/, values: [...TEXTS, [""]], why: "execve(2) wants NAME=VALUE" },
  { paths: /^process\.consoleSize\.\w+$/, values: TOO_LARGE, why: "16 bits in struct winsize" },
  {
    paths: /^process\.user\.(uid|gid|additionalGids\.#)$/,
    values: MAX_ID,
    why: "(uid_t)-1 is no id",
  },
  { paths: /^linux\.devices\.#\.[ug]id$/, values: MAX_ID, why: "(uid_t)-1 is no id" },
  { paths: /^process\.user\.umask$/, values: TOO_LARGE, why: "umask(2) cuts it off" },
  {
    paths: /^process\.rlimits\.#\.(soft|hard)$/,
    values: [0, 1, ...TOO_LARGE],
    why: "setrlimit(2) refuses a soft limit above the hard one",
  },
  { paths: /^process\.rlimits\.#\.type$/, values: ["RLIMIT_X"], why: "only those that there are" },
  { paths: /^process\.oomScoreAdj$/, values: TOO_LARGE, why: "-1000 to 1000" },
  {
    paths: /^process\.scheduler\.\w+$/,
    values: [undefined, -1, 0, 1, ...TOO_LARGE],
    why: "each policy has parameters of its own (sched(7))",
  },
  { paths: /^process\.ioPriority\.priority$/, values: [-1, ...TOO_LARGE], why: "0 to 7" },
  { paths: /^process\.execCPUAffinity\.\w+$/, values: ["", "-"], why: "a list of processors" },
  { paths: /^root\.path$/, values: [""], why: "no path" },
  { paths: /^mounts\.#\.destination$/, values: [""], why: "no path" },
  {
    paths: /^mounts\.#\.(type|source)$/,
    values: [undefined, ""],
    why: "of what is no bind, and of what is one",
  },
  {
    paths: /^mounts\.#\.(options|options\.#)$/,
    values: [undefined, [], [""], ...TEXTS],
    why: "only a bind mount can be idmapped",
  },
  {
    paths: /^mounts\.#\.[ug]idMappings$/,
    values: [undefined, []],
    why: "both or neither, by the text",
  },
  {
    paths: /[ug]idMappings\.#\.(containerID|hostID|size)$/,
    values: [0, ...MAX_ID],
    why: "an empty range, or one beyond the last id (user_namespaces(7))",
  },
  {
    paths: /^linux\.[ug]idMappings$/,
    values: [undefined, []],
    why: "a user namespace without ids is of no use",
  },
  { paths: /^hooks\.\w+\.#\.path$/, values: TEXTS, why: "absolute, by the text" },
  { paths: /^hooks\.\w+\.#\.timeout$/, values: HUGE, why: "68 years of seconds are enough" },
  { paths: /^annotations$/, values: [{ "": 1 }], why: "no empty names, by the text" },
  { paths: /^linux\.namespaces\.#\.path$/, values: TEXTS, why: "absolute, by the text" },
  {
    paths: /^linux\.devices\.#\.(major|minor)$/,
    values: [undefined, -1, ...TOO_LARGE],
    why: "required unless it is a FIFO, by the text; 12 and 20 bits in the kernel",
  },
  { paths: /^linux\.devices\.#\.path$/, values: TEXTS, why: "a full path, by the text" },
  {
    paths: /^linux\.(maskedPaths|readonlyPaths)(\.#)?$/,
    values: [...TEXTS, [""]],
    why: "absolute, by the text",
  },
  {
    paths: /^linux\.(netDevices|sysctl|timeOffsets|resources\.unified)$/,
    values: [{ "": 1 }],
    why: "names have a form",
  },
  { paths: /^linux\.netDevices\.\w+\.name$/, values: ["/x", "x\n"], why: "no interface's name" },
  {
    paths: /^linux\.personality(\.domain)?$/,
    values: [undefined, {}, { "": 1 }],
    why: "required, by the text",
  },
  {
    paths: /^linux\.timeOffsets\.\w+\.nanosecs$/,
    values: MAX_ID,
    why: "less than a second (time_namespaces(7))",
  },
  { paths: /^linux\.personality\.flags$/, values: [[""]], why: "there are none, by the text" },
  {
    paths: /^linux\.memoryPolicy(\.mode|\.nodes)?$/,
    values: [undefined, {}, { "": 1 }, ...TEXTS],
    why: "mode is required, by the text, and nodes by most modes",
  },
  { paths: /^linux\.intelRdt\.closID$/, values: ["/x"], why: "a directory's name" },
  {
    paths: /^linux\.intelRdt\.(l3CacheSchema|schemata\.#)$/,
    values: ["x\n"],
    why: "no newlines, by the text",
  },
  {
    paths: /^linux\.resources\.blockIO\.\w+\.#\.(major|minor)$/,
    values: [-1, 2 ** 70],
    why: "device numbers are not negative",
  },
  {
    paths: /^linux\.resources\.(cpu\.cpus|cpu\.mems)$/,
    values: TEXTS,
    why: "a list of processors or nodes",
  },
  { paths: /^linux\.resources\.cpu\.idle$/, values: [-1, ...TOO_LARGE], why: "0 or 1" },
  {
    paths: /^linux\.resources\.devices\.#\.(type|access)$/,
    values: TEXTS,
    why: "a, b, c; r, w, m, by the text",
  },
  {
    paths: /^linux\.resources\.memory\.swappiness$/,
    values: TOO_LARGE,
    why: "0 to 100, by the text",
  },
  {
    paths: /^linux\.resources\.network\.priorities\.#\.name$/,
    values: [""],
    why: "no interface's name",
  },
  {
    paths: /^linux\.seccomp\.(default|syscalls\.#\.)[eE]rrnoRet$/,
    values: TOO_LARGE,
    why: "16 bits beside the action",
  },
  {
    paths: /^linux\.seccomp\.syscalls\.#\.args\.#\.index$/,
    values: TOO_LARGE,
    why: "a system call has six arguments",
  },
  {
    paths: /^linux\.seccomp\.syscalls\.#\.names(\.#)?$/,
    values: ["", [""]],
    why: "no system call's name",
  },
];

/** We take it, the schema does not. */
const LAXER: readonly Difference[] = [
  {
    paths: /./,
    values: [null],
    why: "Go's encoders write null for what is not there, and its decoders read it so",
  },
  {
    paths: /^linux\.(rootfsPropagation|intelRdt\.memBwSchema)$/,
    values: ["", "rslave"],
    why: "dockerd writes the r forms, and an empty text is none, to Go's decoders",
  },
  {
    paths: /^linux\.resources\.pids(\.limit)?$/,
    values: [undefined, {}, { "": 1 }],
    why: "Go's binding of 1.3 leaves a limit out",
  },
  {
    paths: /^linux\.seccomp\.syscalls\.#\.args\.#\.value$/,
    values: [undefined],
    why: "0, which Go leaves out",
  },
  {
    paths: /^linux\.devices\.#\.fileMode$/,
    values: [0o20666],
    why: "st_mode with the type's bits is what some clients write",
  },
];

/** The way to every value of a document. */
function* placesIn(value: unknown, steps: Steps = []): Generator<Steps> {
  if (steps.length > 0) yield steps;
  if (typeof value !== "object" || value === null) return;
  const isList = Array.isArray(value);
  for (const [key, item] of Object.entries(value))
    yield* placesIn(item, [...steps, isList ? Number(key) : key]);
}

const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

testIf(
  [sharedData(SCHEMA)],
  "one change at a time: the schema and we agree, but for what is listed",
  () => {
    const file = join(SHARED_DATA, SCHEMA);
    expect(schemaProblems(file, fullConfig())).toEqual([]);
    expect(schemaProblems(file, leastConfig())).toEqual([]);
    const unlisted: string[] = [];
    const used = new Set<Difference>();
    const verdicts = { both: 0, neither: 0 };
    for (const steps of placesIn(fullConfig())) {
      const path = steps.map((step) => (typeof step === "number" ? "#" : step)).join(".");
      for (const value of REPLACEMENTS) {
        const config = fullConfig();
        put(config, steps, value);
        const text = JSON.stringify(config);
        const taken = takes(text);
        if (taken === (schemaProblems(file, JSON.parse(text)).length === 0)) {
          verdicts[taken ? "both" : "neither"]++;
          continue;
        }
        const listed = (taken ? LAXER : STRICTER).filter(
          ({ paths, values }) => paths.test(path) && values.some((other) => isSame(other, value)),
        );
        for (const difference of listed) used.add(difference);
        if (listed.length === 0)
          unlisted.push(`${path} = ${JSON.stringify(value)}: ${taken ? "laxer" : "stricter"}`);
      }
    }
    expect(unlisted).toEqual([]);
    const unused = [...STRICTER, ...LAXER].filter((difference) => !used.has(difference));
    expect(unused.map(({ paths }) => String(paths))).toEqual([]);
    expect(verdicts.both).toBeGreaterThan(500);
    expect(verdicts.neither).toBeGreaterThan(3000);
  },
  60_000,
);

function takes(text: string): boolean {
  try {
    parseConfig(text);
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

testIf([program("ctr")], "containerd's default configuration is taken without a warning", () => {
  const config = JSON.parse(Bun.spawnSync(["ctr", "oci", "spec"]).stdout.toString());
  put(config, ["process", "args"], ["sh"]); // which containerd takes from the image
  const warnings: string[] = [];
  const spec = parseConfig(JSON.stringify(config), (message) => warnings.push(message));
  expect(warnings).toEqual([]);
  expect(spec.mounts.map(({ destination }) => destination)).toEqual(
    config.mounts.map(({ destination }: { destination: string }) => destination),
  );
});
