import { describe, expect, test } from "bun:test";
import { CAPABILITIES, DEFAULT_CAPABILITIES } from "../capabilities/capabilities.ts";
import { toResources } from "./resource_options.ts";
import type { RunOptions } from "./run_options.ts";
import { buildSpec, cleanPath, commandOf, type ImageConfig } from "./spec_builder.ts";

const DEFAULTS: RunOptions = {
  args: ["true"],
  remove: true,
  interactive: false,
  tty: false,
  init: false,
  privileged: false,
  readonlyRoot: false,
  noNewPrivileges: false,
  groupAdd: [],
  env: [],
  labels: {},
  mounts: [],
  devices: [],
  deviceRules: [],
  network: "none",
  pid: "private",
  ipc: "private",
  uts: "private",
  capAdd: [],
  capDrop: [],
  ulimits: [],
  sysctls: {},
  resources: {},
  sigProxy: true,
};

const ID = "0123456789ab".padEnd(64, "c");

function build(options: Partial<RunOptions>, image: ImageConfig = {}) {
  return buildSpec({
    id: ID,
    options: { ...DEFAULTS, ...options },
    image,
    cgroupsPath: `/mydocker/${ID}`,
    resources: {},
    devices: [],
    etcFiles: [{ destination: "/etc/hosts", type: "bind", source: "/h", options: ["bind"] }],
    host: {
      hostname: "thehost",
      capabilities: CAPABILITIES,
      oomScoreAdj: 7,
      cgroupMounts: [],
      cgroupVersion: 2,
      processors: 2,
    },
  });
}

test("an AppArmor profile is the process's", () => {
  expect(build({}).process).not.toHaveProperty("apparmorProfile");
  expect(build({ appArmor: "strict" }).process.apparmorProfile).toBe("strict");
});

describe("the command line", () => {
  const image = { Entrypoint: ["/entry", "-x"], Cmd: ["serve"] };
  test.each<[string, Partial<RunOptions>, string[]]>([
    ["is the image's", { args: [] }, ["/entry", "-x", "serve"]],
    ["has arguments instead of CMD", { args: ["a", "b c"] }, ["/entry", "-x", "a", "b c"]],
    ["has --entrypoint instead of both", { args: [], entrypoint: "/bin/e" }, ["/bin/e"]],
    ["keeps arguments of --entrypoint", { args: ["a"], entrypoint: "/bin/e" }, ["/bin/e", "a"]],
    ["is only arguments with an empty one", { args: ["a"], entrypoint: "" }, ["a"]],
  ])("%s", (_, options, command) => {
    expect(commandOf({ ...DEFAULTS, ...options }, image)).toEqual(command);
  });

  test("that is missing is an error", () => {
    expect(() => commandOf({ ...DEFAULTS, args: [] }, {})).toThrow("no command specified");
    expect(() => commandOf({ ...DEFAULTS, args: [], entrypoint: "" }, image)).toThrow("no command");
  });
});

describe("the environment", () => {
  test("is PATH and HOSTNAME, the image's, and then the caller's", () => {
    const { env } = build(
      { env: ["B=caller", "C=x=y", "A"] },
      { Env: ["A=image", "B=image", "PATH=/p"] },
    ).process;
    expect(env).toEqual(["PATH=/p", "HOSTNAME=0123456789ab", "B=caller", "C=x=y"]);
  });

  test("has TERM with a terminal only", () => {
    expect(build({ tty: true }).process.env).toContain("TERM=xterm");
    expect(build({}).process.env.join()).not.toContain("TERM");
  });
});

describe("namespaces", () => {
  const types = (options: Partial<RunOptions>) =>
    build(options).linux.namespaces.map(({ type }) => type);

  test("are all new by default", () => {
    expect(types({})).toEqual(["mount", "network", "uts", "pid", "ipc", "cgroup"]);
  });

  test("that are the host's are left out", () => {
    expect(types({ network: "host", pid: "host", ipc: "host", uts: "host" })).toEqual([
      "mount",
      "cgroup",
    ]);
  });

  test("of cgroups is new with version 2 only, unless it is asked for", () => {
    expect(types({ privileged: true })).toContain("cgroup");
    expect(types({ cgroupns: "host" })).not.toContain("cgroup");
    expect(types({ cgroupns: "private" })).toContain("cgroup");
  });

  test("of users has a range of ids, and not what is the host's", () => {
    expect(types({ userns: "private" })).toContain("user");
    expect(types({ userns: "host" })).not.toContain("user");
    for (const host of [{ network: "host" }, { pid: "host" }, { ipc: "host" }] as const)
      expect(() => build({ userns: "private", ...host })).toThrow("cannot share the host's");
    expect(() => build({ userns: "private", privileged: true })).toThrow("privileged mode");
    const cgroups = build({ userns: "private", cgroupns: "host" }).mounts.find(
      ({ destination }) => destination === "/sys/fs/cgroup",
    );
    expect(cgroups?.type).toBe("bind");
  });

  test("a host name needs one of its own", () => {
    expect(build({ hostname: "web" }).hostname).toBe("web");
    expect(build({ uts: "host" }).hostname).toBeUndefined();
    expect(build({ uts: "host" }).process.env).toContain("HOSTNAME=thehost");
    expect(() => build({ uts: "host", hostname: "web" })).toThrow("conflicting options");
  });
});

describe("capabilities", () => {
  const granted = (options: Partial<RunOptions>) => build(options).process.capabilities.bounding;

  test("are Docker's 14 by default, none of them inheritable or ambient", () => {
    const { capabilities } = build({}).process;
    expect(capabilities.effective.toSorted()).toEqual(DEFAULT_CAPABILITIES.toSorted());
    expect(capabilities.permitted).toEqual(capabilities.effective);
    expect(capabilities.bounding).toEqual(capabilities.effective);
    expect(capabilities.inheritable).toEqual([]);
    expect(capabilities.ambient).toEqual([]);
  });

  test.each<[string, Partial<RunOptions>, readonly string[]]>([
    ["--cap-drop ALL", { capDrop: ["ALL"] }, []],
    ["--cap-drop all --cap-add", { capDrop: ["all"], capAdd: ["net_admin"] }, ["CAP_NET_ADMIN"]],
    ["--cap-add ALL", { capAdd: ["ALL"] }, CAPABILITIES],
    [
      "--cap-add ALL --cap-drop",
      { capAdd: ["ALL"], capDrop: ["CAP_CHOWN"] },
      CAPABILITIES.filter((name) => name !== "CAP_CHOWN"),
    ],
    ["--privileged", { privileged: true }, CAPABILITIES],
  ])("%s", (_, options, names) => {
    expect(granted(options).toSorted()).toEqual(names.toSorted());
  });

  test("that do not exist are refused", () => {
    expect(() => granted({ capAdd: ["FLY"] })).toThrow('invalid capability: "FLY"');
  });
});

test("oom_score_adj is what the machine allows by default, or what was asked for", () => {
  expect(build({}).process.oomScoreAdj).toBe(7);
  expect(build({ oomScoreAdj: -5 }).process.oomScoreAdj).toBe(-5);
});

test("nothing in /proc and /sys is masked with unconfined system paths, or with all privileges", () => {
  for (const options of [{ unconfinedPaths: true }, { privileged: true }]) {
    expect(build(options).linux).toMatchObject({ maskedPaths: [], readonlyPaths: [] });
  }
  expect(build({}).linux.maskedPaths).toContain("/proc/keys");
});

describe("mounts", () => {
  const at = (options: Partial<RunOptions>, destination: string) =>
    build(options).mounts.filter((mount) => mount.destination === destination);

  test("of the caller come after Docker's, parents before what lies in them", () => {
    const bind = (target: string) =>
      ({
        type: "bind",
        source: "/s",
        target,
        readonly: false,
        createSource: true,
        recursive: true,
      }) as const;
    const { mounts } = build({ mounts: [bind("/a/b/../b/c"), bind("/a/")] });
    const destinations = mounts.slice(-3).map(({ destination }) => destination);
    expect(destinations).toEqual(["/a", "/etc/hosts", "/a/b/c"]);
  });

  test("of the caller take the place of Docker's", () => {
    const shm = { type: "tmpfs", target: "/dev/shm", options: ["exec"] } as const;
    expect(at({ mounts: [shm] }, "/dev/shm")).toEqual([
      {
        destination: "/dev/shm",
        type: "tmpfs",
        source: "tmpfs",
        options: ["noexec", "nosuid", "nodev", "rprivate", "exec"],
      },
    ]);
  });

  test("of the caller take the place of those below, too, which they would hide", () => {
    const tmpfs = (target: string) => ({ type: "tmpfs", target, options: [] }) as const;
    const destinations = (target: string) =>
      build({ mounts: [tmpfs(target)] }).mounts.map(({ destination }) => destination);
    expect(destinations("/sys").filter((path) => path.startsWith("/sys"))).toEqual(["/sys"]);
    expect(destinations("/dev").slice(-5)).toEqual([
      ...["/dev", "/dev/pts", "/dev/mqueue", "/dev/shm", "/etc/hosts"],
    ]);
  });

  test("of the host's /dev leave a terminal its own devpts, and nothing else", () => {
    const dev = {
      type: "bind",
      source: "/dev",
      target: "/dev",
      readonly: true,
      createSource: true,
      recursive: true,
    } as const;
    const destinations = (tty: boolean) =>
      build({ tty, mounts: [dev] })
        .mounts.map(({ destination }) => destination)
        .filter((path) => path.startsWith("/dev"));
    expect(destinations(false)).toEqual(["/dev"]);
    expect(destinations(true)).toEqual(["/dev", "/dev/pts"]);
    expect(at({ mounts: [dev] }, "/dev")[0]?.options).toEqual(["rbind", "rprivate", "ro", "rro"]);
  });

  test("at the same place twice, or at the root, are refused", () => {
    const tmpfs = (target: string) => ({ type: "tmpfs", target, options: [] }) as const;
    expect(() => build({ mounts: [tmpfs("/a"), tmpfs("/b/../a/")] })).toThrow("Duplicate");
    expect(() => build({ mounts: [tmpfs("/..")] })).toThrow("can't be '/'");
  });

  test("in /proc are refused, but for files that describe the machine", () => {
    const at = (target: string) => ({ mounts: [{ type: "tmpfs", target, options: [] } as const] });
    expect(() => build(at("/proc"))).toThrow("not of type proc");
    expect(() => build(at("/proc/self"))).toThrow("inside /proc");
    expect(() => build(at("/x/../proc/sys"))).toThrow("inside /proc");
    expect(() => build(at("/proc/meminfo"))).not.toThrow();
    expect(() => build(at("/processes"))).not.toThrow();
  });

  test("leave /etc/hosts on top of a mounted /etc", () => {
    const { mounts } = build({ mounts: [{ type: "tmpfs", target: "/etc", options: [] }] });
    expect(mounts.slice(-2).map(({ destination }) => destination)).toEqual(["/etc", "/etc/hosts"]);
  });

  test("show the host's shared memory with --ipc host", () => {
    expect(at({ ipc: "host" }, "/dev/shm")[0]).toMatchObject({ type: "bind", source: "/dev/shm" });
  });

  test("of /sys are read-only unless the container is privileged", () => {
    expect(at({}, "/sys")[0]?.options).toContain("ro");
    expect(at({ privileged: true }, "/sys")[0]?.options).not.toContain("ro");
    expect(at({ privileged: true }, "/sys/fs/cgroup")[0]?.options).not.toContain("ro");
  });

  test("--shm-size sets the size of /dev/shm", () => {
    expect(at({ shmSize: 1024 }, "/dev/shm")[0]?.options).toContain("size=1024");
  });
});

test("a privileged container hides nothing", () => {
  const { linux } = build({ privileged: true });
  expect(linux.maskedPaths).toEqual([]);
  expect(linux.readonlyPaths).toEqual([]);
});

test("each processor's thermal_throttle is masked", () => {
  expect(build({}).linux.maskedPaths).toContain("/sys/devices/system/cpu/cpu1/thermal_throttle");
});

describe("sysctls", () => {
  test("of the container's own namespaces are taken", () => {
    const sysctls = { "net.core.somaxconn": "1", "kernel.shmmax": "2", "fs.mqueue.msg_max": "3" };
    expect(build({ sysctls }).linux.sysctl).toMatchObject(sysctls);
  });

  test("let everybody ping and use low ports, in a network of its own", () => {
    expect(build({}).linux.sysctl["net.ipv4.ip_unprivileged_port_start"]).toBe("0");
    expect(build({ network: "host" }).linux.sysctl).toEqual({});
  });

  test.each<[string, Partial<RunOptions>]>([
    ["vm.swappiness", {}],
    ["kernel.hostname", {}],
    ["net.ipv4.ip_forward", { network: "host" }],
    ["kernel.shmmax", { ipc: "host" }],
    ["net.../../kernel/core_pattern", {}],
    ["net/../kernel/core_pattern", {}],
  ])("%s is refused where it would be the host's", (name, options) => {
    expect(() => build({ ...options, sysctls: { [name]: "1" } })).toThrow("sysctl");
  });
});

describe("limits", () => {
  const limits = (resources: RunOptions["resources"], swap = true) =>
    toResources(resources, () => swap);

  test("of memory allow as much swap again", () => {
    expect(limits({ memory: 100 }).memory).toEqual({ limit: 100, swap: 200 });
    expect(limits({ memory: 100 }, false).memory).toEqual({ limit: 100 });
    expect(limits({ memory: 100, memorySwap: -1 }).memory).toEqual({ limit: 100, swap: -1 });
  });

  test("of processors become a quota", () => {
    expect(limits({ cpus: 0.5 }).cpu).toEqual({ quota: 50_000, period: 100_000 });
  });

  test("that were not asked for are absent", () => {
    expect(limits({})).toEqual({});
  });
});

test("paths are cleaned without looking at the disk", () => {
  expect(cleanPath("//a/./b/../c/")).toBe("/a/c");
  expect(cleanPath("/../..")).toBe("/");
});
