import { describe, expect, test } from "bun:test";
import {
  fullConfig,
  type JsonObject,
  leastConfig,
  put,
  stepsOf,
} from "../../test/helpers/oci_config.ts";
import { Random } from "../../test/helpers/seccomp_profiles.ts";
import { ConfigError } from "./config_error.ts";
import { parseConfig, parseProcess, parseResources } from "./validate.ts";

const parse = (config: JsonObject) => parseConfig(JSON.stringify(config));

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  return "no error";
}

/** A change to the full configuration, and the message it leads to. */
type Case = readonly [path: string, value: unknown, message: string];

/** What is wrong with one value, by the way to it. */
const WRONG_VALUES: readonly Case[] = [
  ["ociVersion", undefined, "ociVersion: missing, expected 1.0.0 to 1.3.x, or a later 1.x"],
  ["ociVersion", "2.0.0", 'ociVersion: "2.0.0", expected 1.0.0 to 1.3.x, or a later 1.x'],
  ["ociVersion", "0.9.0", 'ociVersion: "0.9.0", expected 1.0.0 to 1.3.x, or a later 1.x'],
  ["ociVersion", "1.3", 'ociVersion: "1.3", expected 1.0.0 to 1.3.x, or a later 1.x'],
  ["ociVersion", 1, "ociVersion: 1, expected 1.0.0 to 1.3.x, or a later 1.x"],
  ["process", undefined, "process: missing, expected an object"],
  ["process", [], "process: an empty array, expected an object"],
  ["process.terminal", "yes", 'process.terminal: "yes", expected true or false'],
  [
    "process.consoleSize.height",
    65536,
    "process.consoleSize.height: 65536, expected an integer from 0 to 65535",
  ],
  [
    "process.consoleSize.width",
    undefined,
    "process.consoleSize.width: missing, expected an integer from 0 to 65535",
  ],
  ["process.user.uid", -1, "process.user.uid: -1, expected an integer from 0 to 4294967294"],
  [
    "process.user.gid",
    4294967295,
    "process.user.gid: 4294967295, expected an integer from 0 to 4294967294",
  ],
  ["process.user.umask", 512, "process.user.umask: 512, expected an integer from 0 to 511"],
  [
    "process.user.additionalGids[1]",
    1.5,
    "process.user.additionalGids[1]: 1.5, expected an integer from 0 to 4294967294",
  ],
  ["process.args", undefined, "process.args: missing, expected an array"],
  ["process.args", [], "process.args: an empty array, expected at least one entry"],
  ["process.args", "sh", 'process.args: "sh", expected an array'],
  ["process.args[1]", 7, "process.args[1]: 7, expected a string"],
  ["process.args[1]", "a\0b", 'process.args[1]: "a\\u0000b" has a NUL'],
  ["process.env[0]", "PATH", 'process.env[0]: "PATH", expected NAME=VALUE'],
  ["process.env[0]", "=x", 'process.env[0]: "=x", expected NAME=VALUE'],
  ["process.cwd", undefined, "process.cwd: missing, expected an absolute path"],
  ["process.cwd", "root", 'process.cwd: "root", expected an absolute path'],
  ["process.cwd", "", 'process.cwd: "", expected an absolute path'],
  [
    "process.capabilities.bounding",
    "CAP_KILL",
    'process.capabilities.bounding: "CAP_KILL", expected an array',
  ],
  ["process.rlimits[0].soft", 4097, "process.rlimits[0].soft: 4097 is above hard, 4096"],
  [
    "process.rlimits[1].hard",
    -1,
    "process.rlimits[1].hard: -1, expected an integer from 0 to 18446744073709551615",
  ],
  [
    "process.rlimits[1].type",
    "RLIMIT_NOFILE",
    'process.rlimits[1].type: "RLIMIT_NOFILE" again, after rlimits[0]',
  ],
  [
    "process.oomScoreAdj",
    1001,
    "process.oomScoreAdj: 1001, expected an integer from -1000 to 1000",
  ],
  [
    "process.scheduler.priority",
    0,
    "process.scheduler.priority: 0, expected 1 to 99 with SCHED_FIFO",
  ],
  [
    "process.scheduler.policy",
    "SCHED_OTHER",
    "process.scheduler.priority: 10, which is for SCHED_FIFO and SCHED_RR only",
  ],
  [
    "process.scheduler.nice",
    5,
    "process.scheduler.nice: 5, which is for SCHED_OTHER and SCHED_BATCH only",
  ],
  [
    "process.scheduler",
    { policy: "SCHED_DEADLINE" },
    "process.scheduler.runtime: missing, expected with SCHED_DEADLINE",
  ],
  ["process.scheduler.period", 1000, "process.scheduler.period: 1000, only for SCHED_DEADLINE"],
  [
    "process.ioPriority.class",
    "IOPRIO_CLASS_NONE",
    'process.ioPriority.class: "IOPRIO_CLASS_NONE", expected one of IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE',
  ],
  [
    "process.ioPriority.priority",
    8,
    "process.ioPriority.priority: 8, expected an integer from 0 to 7",
  ],
  [
    "process.execCPUAffinity.initial",
    "0-",
    'process.execCPUAffinity.initial: "0-", expected a list such as 0-2,7',
  ],
  ["root", undefined, "root: missing, expected an object"],
  ["root.path", "", 'root.path: "", expected a text that is not empty'],
  ["root.readonly", 1, "root.readonly: 1, expected true or false"],
  ["hostname", "h".repeat(65), `hostname: "${"h".repeat(60)}…", expected at most 64 bytes`],
  ["domainname", "ü".repeat(33), `domainname: "${"ü".repeat(33)}", expected at most 64 bytes`],
  [
    "mounts[0].destination",
    undefined,
    "mounts[0].destination: missing, expected a text that is not empty",
  ],
  ["mounts[0].destination", "/../etc", 'mounts[0].destination: "/../etc" leads out of the root'],
  ["mounts[0].destination", "a/../..", 'mounts[0].destination: "a/../.." leads out of the root'],
  ["mounts[0].destination", "/a/..", 'mounts[0].destination: "/a/.." is the root itself'],
  [
    "mounts[0].type",
    "",
    "mounts[0].type: missing, expected a file system type: it is no bind mount",
  ],
  ["mounts[2].source", undefined, "mounts[2].source: missing, expected a path: it is a bind mount"],
  ["mounts[2].uidMappings", undefined, "mounts[2].uidMappings: missing, expected with gidMappings"],
  ["mounts[2].gidMappings", [], "mounts[2].gidMappings: missing, expected with uidMappings"],
  [
    "mounts[2].options[0]",
    "ro",
    "mounts[2].options: no bind mount, and only those can be idmapped",
  ],
  [
    "mounts[2].uidMappings[0].size",
    4294867296,
    "mounts[2].uidMappings[0].hostID: 100000 and size 4294867296 go beyond the last id",
  ],
  ["hooks.poststop[0].path", "clean", 'hooks.poststop[0].path: "clean", expected an absolute path'],
  [
    "hooks.prestart[0].timeout",
    0,
    "hooks.prestart[0].timeout: 0, expected an integer from 1 to 2147483647",
  ],
  [
    "hooks.startContainer[0].env[0]",
    "A",
    'hooks.startContainer[0].env[0]: "A", expected NAME=VALUE',
  ],
  ['annotations["org.example.key"]', 1, 'annotations["org.example.key"]: 1, expected a string'],
  ["annotations", { "": "x" }, 'annotations[""]: the name is not a text that is not empty'],
  [
    "linux.namespaces[2].type",
    "net",
    'linux.namespaces[2].type: "net", expected one of mount, pid, network, uts, ipc, user, cgroup, time',
  ],
  [
    "linux.namespaces[1].path",
    "netns",
    'linux.namespaces[1].path: "netns", expected an absolute path',
  ],
  [
    "linux.uidMappings[0].containerID",
    undefined,
    "linux.uidMappings[0].containerID: missing, expected an integer from 0 to 4294967294",
  ],
  [
    "linux.timeOffsets.realtime",
    {},
    "linux.timeOffsets.realtime: the name is not a clock with an offset: monotonic or boottime",
  ],
  [
    "linux.timeOffsets.boottime.nanosecs",
    1e9,
    "linux.timeOffsets.boottime.nanosecs: 1000000000, expected an integer from 0 to 999999999",
  ],
  ["linux.devices[0].type", "a", 'linux.devices[0].type: "a", expected one of c, b, u, p'],
  ["linux.devices[0].major", undefined, 'linux.devices[0].major: missing, expected with type "c"'],
  [
    "linux.devices[0].minor",
    -1,
    "linux.devices[0].minor: -1, expected an integer from 0 to 1048575",
  ],
  [
    "linux.devices[0].path",
    "/dev/../..",
    'linux.devices[0].path: "/dev/../.." leads out of the root',
  ],
  [
    "linux.netDevices",
    { "a/b": {} },
    'linux.netDevices["a/b"]: the name is not the name of a network interface',
  ],
  [
    "linux.netDevices.eth0.name",
    "0123456789abcdef",
    'linux.netDevices.eth0.name: "0123456789abcdef", expected the name of a network interface',
  ],
  [
    "linux.netDevices",
    { eth1: { name: "x" }, x: {}, eth2: { name: "y%d" }, eth3: { name: "y%d" } },
    "linux.netDevices.x: is to be x in the container, and so is eth1",
  ],
  [
    "linux.netDevices.eth0.name",
    "eth%d0",
    'linux.netDevices.eth0.name: "eth%d0", expected the name of a network interface',
  ],
  [
    "linux.cgroupsPath",
    "/a/../../b",
    'linux.cgroupsPath: "/a/../../b", expected a path without ..',
  ],
  [
    "linux.rootfsPropagation",
    "public",
    'linux.rootfsPropagation: "public", expected one of private, rprivate, shared, rshared, slave, rslave, unbindable, runbindable',
  ],
  [
    "linux.seccomp.defaultAction",
    "ALLOW",
    'linux.seccomp.defaultAction: "ALLOW" is none of SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_KILL, SCMP_ACT_TRAP, SCMP_ACT_ERRNO, SCMP_ACT_NOTIFY, SCMP_ACT_TRACE, SCMP_ACT_LOG, SCMP_ACT_ALLOW',
  ],
  [
    "linux.seccomp.syscalls[1].args[0].index",
    6,
    "linux.seccomp.syscalls[1].args[0].index: 6 is not an integer from 0 to 5",
  ],
  [
    "linux.sysctl",
    { "net.ipv4..x": "1" },
    'linux.sysctl["net.ipv4..x"]: the name is not a kernel parameter such as net.ipv4.ip_forward',
  ],
  [
    "linux.sysctl",
    { "net/../kernel/panic": "1" },
    'linux.sysctl["net/../kernel/panic"]: the name is not a kernel parameter such as net.ipv4.ip_forward',
  ],
  ["linux.maskedPaths[0]", "proc", 'linux.maskedPaths[0]: "proc", expected an absolute path'],
  ["linux.readonlyPaths[0]", null, "linux.readonlyPaths[0]: null, expected an absolute path"],
  ["linux.intelRdt.closID", "..", 'linux.intelRdt.closID: "..", expected a file name or /'],
  [
    "linux.intelRdt.memBwSchema",
    "L3:0=1",
    'linux.intelRdt.memBwSchema: "L3:0=1", expected one line that starts with MB:',
  ],
  [
    "linux.intelRdt.schemata[0]",
    "L3:0=1\nMB:0=1",
    'linux.intelRdt.schemata[0]: "L3:0=1\\nMB:0=1", expected one line',
  ],
  [
    "linux.memoryPolicy.nodes",
    "",
    "linux.memoryPolicy.nodes: missing, expected with MPOL_INTERLEAVE",
  ],
  [
    "linux.memoryPolicy.mode",
    "MPOL_LOCAL",
    'linux.memoryPolicy.nodes: "0-1", and MPOL_LOCAL takes none',
  ],
  [
    "linux.personality.flags",
    ["ADDR_NO_RANDOMIZE"],
    'linux.personality.flags[0]: "ADDR_NO_RANDOMIZE", and there are no flags yet',
  ],
  [
    "linux.resources.devices[1].type",
    "p",
    'linux.resources.devices[1].type: "p", expected one of a, b, c',
  ],
  [
    "linux.resources.devices[1].access",
    "rx",
    'linux.resources.devices[1].access: "rx", expected letters out of r, w and m',
  ],
  [
    "linux.resources.memory.limit",
    -2,
    "linux.resources.memory.limit: -2, expected an integer from -1 to 9223372036854775807",
  ],
  [
    "linux.resources.hugepageLimits[0].pageSize",
    "2mb",
    'linux.resources.hugepageLimits[0].pageSize: "2mb", expected a size such as 2MB',
  ],
  [
    "linux.resources.blockIO.throttleReadBpsDevice[0].rate",
    "fast",
    'linux.resources.blockIO.throttleReadBpsDevice[0].rate: "fast", expected an integer from 0 to 18446744073709551615',
  ],
  [
    "linux.resources.unified",
    { "../cgroup.procs": "1" },
    'linux.resources.unified["../cgroup.procs"]: the name is not the name of a cgroup\'s file, such as memory.high',
  ],
];

/** What does not go together. */
const CONTRADICTIONS: readonly Case[] = [
  ["linux.namespaces[3].type", "pid", 'linux.namespaces[3].type: "pid" again, after namespaces[0]'],
  [
    "linux.namespaces[2]",
    { type: "pid", path: "/p" },
    'linux.namespaces[2].type: "pid" again, after namespaces[0]',
  ],
  ["linux.namespaces", [{ type: "pid" }], "linux.namespaces: there is none of type mount"],
  ["linux.namespaces", null, "linux.namespaces: there is none of type mount"],
  ["linux", undefined, "linux.namespaces: there is none of type mount"],
  ["linux.namespaces", [{ type: "mount" }], "linux.uidMappings: there is no user namespace"],
  ["linux.uidMappings", [], "linux.uidMappings: missing, expected with a new user namespace"],
  [
    "linux.namespaces[7].path",
    "/proc/1/ns/time",
    "linux.timeOffsets: cannot be set of a time namespace that exists",
  ],
  [
    "linux.namespaces",
    [{ type: "mount" }, { type: "user" }, { type: "network" }, { type: "uts" }],
    "linux.timeOffsets: there is no time namespace",
  ],
  [
    "linux.namespaces",
    [{ type: "mount" }, { type: "user" }, { type: "time" }, { type: "uts" }],
    "linux.netDevices: there is no network namespace",
  ],
  [
    "linux.namespaces",
    [{ type: "mount" }, { type: "user" }, { type: "time" }, { type: "network" }],
    "hostname: would be the host's: there is no uts namespace",
  ],
  [
    "linux.sysctl",
    { "kernel.panic": "1" },
    'linux.sysctl["kernel.panic"]: is the same for the whole machine: no namespace has its own',
  ],
  [
    "linux.sysctl",
    { "kernel.hostname": "x" },
    'linux.sysctl["kernel.hostname"]: set hostname instead',
  ],
];

describe("one error names the path, what is there and what was expected", () => {
  test.each([...WRONG_VALUES, ...CONTRADICTIONS])("%s = %j", (path, value, message) => {
    const config = fullConfig();
    put(config, stepsOf(path), value);
    expect(messageOf(() => parse(config))).toBe(message);
  });

  test.each([
    ["net.ipv4.ip_forward", "network"],
    ["net/ipv4/ip_forward", "network"],
    ["kernel.shmmax", "ipc"],
    ["fs.mqueue.msg_max", "ipc"],
    ["kernel.domainname", "uts"],
    ["user.max_user_namespaces", "user"],
  ])("the kernel parameter %s without a %s namespace", (name, type) => {
    const config = leastConfig();
    put(config, ["linux", "sysctl"], { [name]: "1" });
    const step = name.includes(".") || name.includes("/") ? `["${name}"]` : `.${name}`;
    expect(messageOf(() => parse(config))).toBe(
      `linux.sysctl${step}: would be the host's: there is no ${type} namespace`,
    );
  });

  test("idmap without mappings and without a user namespace to take them from", () => {
    const config = leastConfig();
    config["mounts"] = [{ destination: "/a", source: "/b", options: ["bind", "idmap"] }];
    expect(messageOf(() => parse(config))).toBe(
      "mounts[0].uidMappings: missing, expected with idmap where there is no user namespace",
    );
  });

  test.each([
    ["", "$: not JSON: line 1, column 1: the end of the text, expected a value"],
    [
      "{",
      "$: not JSON: line 1, column 2: the end of the text, expected a name in double quotes or }",
    ],
    ['{\n  "a": 1,\n}', '$: not JSON: line 3, column 1: "}", expected a name in double quotes'],
    ['{"a": tru}', '$: not JSON: line 1, column 7: "tru", expected a value'],
    ['{"a" 1}', '$: not JSON: line 1, column 6: "1", expected :'],
    [
      '{"a": [1 2]}',
      '$: not JSON: line 1, column 10: "2", expected , or the end of the array or object',
    ],
    [
      '{"a": 01}',
      '$: not JSON: line 1, column 8: "1", expected , or the end of the array or object',
    ],
    ["{}\n{}", '$: not JSON: line 2, column 1: "{", expected the end of the text'],
    [
      '{"a": "b\n"}',
      "$: not JSON: line 1, column 7: a string that has no end, a control character or an unknown escape, expected a value",
    ],
    ["\ufeff{}", '$: not JSON: line 1, column 1: "\ufeff", expected a value'],
    ["null", "$: null, expected an object"],
    ["[]", "$: an empty array, expected an object"],
  ])("%j is no configuration", (text, message) => {
    expect(messageOf(() => parseConfig(text))).toBe(message);
  });

  test("nesting without end", () => {
    expect(messageOf(() => parseConfig("[".repeat(1e6)))).toStartWith("$: not JSON: ");
    const deep = `{"ociVersion": ${"[".repeat(1000)}${"]".repeat(1000)}}`;
    expect(messageOf(() => parseConfig(deep))).toStartWith("ociVersion: an array, expected");
  });
});

describe("what may be left out", () => {
  test("is there after reading", () => {
    expect(parse(leastConfig())).toEqual({
      ociVersion: "1.3.0",
      process: {
        terminal: false,
        user: { uid: 0, gid: 0, additionalGids: [] },
        args: ["sh"],
        env: [],
        cwd: "/",
        capabilities: { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] },
        rlimits: [],
        noNewPrivileges: false,
      },
      root: { path: "rootfs", readonly: false },
      mounts: [],
      hooks: {},
      annotations: {},
      linux: {
        namespaces: [{ type: "mount" }],
        uidMappings: [],
        gidMappings: [],
        devices: [],
        netDevices: {},
        cgroupsPath: "",
        resources: {},
        sysctl: {},
        maskedPaths: [],
        readonlyPaths: [],
      },
    });
  });

  test("may be null or, as a text, empty: Go's encoders write that", () => {
    const config = leastConfig();
    for (const [path, value] of [
      ["process.env", null],
      ["process.apparmorProfile", ""],
      ["process.capabilities", null],
      ["hostname", ""],
      ["mounts", null],
      ["hooks", { prestart: null, poststop: [] }],
      ["linux.seccomp", null],
      ["linux.namespaces[0].path", ""],
      ["linux.rootfsPropagation", ""],
      ["linux.resources", { memory: null, cpu: { cpus: "" } }],
    ] as const) {
      put(config, stepsOf(path), value);
    }
    const spec = parse(config);
    expect(spec).toMatchObject({ hooks: {}, linux: { resources: { cpu: {} } } });
    expect({ ...spec, linux: { ...spec.linux, resources: {} } }).toEqual(parse(leastConfig()));
  });
});

describe("what is read", () => {
  test("is the full configuration, with nothing lost but what has no meaning", () => {
    const config = fullConfig();
    const spec = parse(config);
    put(config, stepsOf("linux.resources.memory.useHierarchy"), undefined);
    put(config, ["linux", "personality", "flags"], undefined);
    put(config, stepsOf("linux.devices[1]"), {
      path: "/dev/pipe",
      type: "p",
      major: 0,
      minor: 0,
      fileMode: 0o666,
    });
    put(config, stepsOf("mounts[0].options"), []);
    put(config, stepsOf("mounts[2].type"), "bind");
    expect(spec as unknown).toEqual(config);
  });

  test("paths without dots, types in one form", () => {
    const config = leastConfig();
    config["mounts"] = [
      { destination: "/a/./b//../c/", type: "none", source: "src", options: ["bind"] },
      { destination: "proc", type: "proc" },
      { destination: "/shared", options: ["rshared"] },
    ];
    put(config, stepsOf("linux.devices"), [
      { path: "/dev/x/../null", type: "u", major: 1, minor: 3, fileMode: 0o20644 },
    ]);
    const warnings: string[] = [];
    const spec = parseConfig(JSON.stringify(config), (message) => warnings.push(message));
    expect(spec.mounts).toEqual([
      { destination: "/a/c", type: "bind", source: "src", options: ["bind"] },
      { destination: "/proc", type: "proc", source: "proc", options: [] },
      { destination: "/shared", type: "none", source: "none", options: ["rshared"] },
    ]);
    expect(spec.linux.devices).toEqual([
      { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o644 },
    ]);
    expect(warnings).toEqual(['mounts[1].destination: "proc" is not absolute: taken from /']);
  });

  test("capabilities that cannot be granted are left out with a warning", () => {
    const warnings: string[] = [];
    const { capabilities } = parseProcess(
      JSON.stringify({
        args: ["sh"],
        cwd: "/",
        capabilities: {
          bounding: ["CAP_KILL", "CAP_FLY", "KILL"],
          effective: ["CAP_KILL", "CAP_CHOWN"],
          permitted: ["CAP_KILL"],
          inheritable: [],
          ambient: ["CAP_KILL"],
        },
      }),
      (message) => warnings.push(message),
    );
    expect(capabilities).toEqual({
      bounding: ["CAP_KILL"],
      effective: ["CAP_KILL"],
      permitted: ["CAP_KILL"],
      inheritable: [],
      ambient: [],
    });
    expect(warnings).toEqual([
      "capabilities.bounding: CAP_FLY is left out: not a capability",
      "capabilities.bounding: KILL is left out: not a capability",
      "capabilities.effective: CAP_CHOWN is left out: not in permitted",
      "capabilities.ambient: CAP_KILL is left out: not in both permitted and inheritable",
    ]);
  });

  test("the console's size counts only with a terminal", () => {
    const config = fullConfig();
    put(config, ["process", "terminal"], false);
    expect(parse(config).process.consoleSize).toBeUndefined();
  });

  test("numbers beyond 2^53 are compared exactly", () => {
    const rlimit = (soft: string) =>
      parseProcess(
        `{"args": ["a"], "cwd": "/", "rlimits": [{"type": "RLIMIT_CPU", "soft": ${soft}, "hard": 18446744073709551615}]}`,
      ).rlimits[0]?.soft;
    expect(rlimit("18446744073709551615")).toBe(2 ** 64);
    expect(messageOf(() => rlimit("18446744073709551616"))).toBe(
      "rlimits[0].soft: 18446744073709551616, expected an integer from 0 to 18446744073709551615",
    );
    expect(parseResources('{"memory": {"limit": 9223372036854775807}}')).toEqual({
      memory: { limit: 2 ** 63 },
    });
    expect(messageOf(() => parseResources('{"memory": {"limit": 9223372036854775808}}'))).toBe(
      "memory.limit: 9223372036854775808, expected an integer from -1 to 9223372036854775807",
    );
  });

  test("fields that the specification does not know are ignored, names that objects have are names", () => {
    const config = { ...leastConfig(), extra: { deep: [] }, constructor: "x", toString: 1 };
    expect(parse(config as JsonObject)).toEqual(parse(leastConfig()));
    const annotations = '{"__proto__": "a", "constructor": "b"}';
    const text = JSON.stringify(leastConfig()).replace("{", `{"annotations": ${annotations},`);
    expect(JSON.stringify(parseConfig(text).annotations)).toBe(
      '{"__proto__":"a","constructor":"b"}',
    );
  });

  test("a parameter's name with dots in a part is apart by slashes", () => {
    const config = fullConfig();
    put(config, ["linux", "sysctl"], { "net.ipv4.conf.eno2/100.rp_filter": "1" });
    expect(parse(config).linux.sysctl).toEqual({ "net/ipv4/conf/eno2.100/rp_filter": "1" });
  });
});

test("100,000 damaged configurations are read or refused, and nothing else", () => {
  const random = new Random(20260420);
  const whole = JSON.stringify(fullConfig());
  const least = JSON.stringify(leastConfig());
  const pieces = [
    ...'{}[],:"\\-0 \n'.split(""),
    "null",
    "true",
    '"x"',
    "1e999",
    "-1",
    "18446744073709551616",
    '"__proto__":1,',
    "\\u0000",
    "\udc80",
    "[[[[",
  ];
  const counts = { read: 0, refused: 0 };
  for (let round = 0; round < 100_000; round++) {
    let text = random.below(4) === 0 ? whole : least;
    for (let changes = 1 + random.below(3); changes > 0; changes--) {
      const at = random.below(text.length);
      const length = random.below(3) === 0 ? random.below(20) : random.below(2);
      text = text.slice(0, at) + random.pick(pieces) + text.slice(at + length);
    }
    try {
      parseConfig(text);
      counts.read++;
    } catch (error) {
      if (!(error instanceof ConfigError))
        throw new Error(`not refused: ${text}`, { cause: error });
      counts.refused++;
    }
  }
  expect(counts.read).toBeGreaterThan(100);
  expect(counts.refused).toBeGreaterThan(10_000);
}, 120_000);
