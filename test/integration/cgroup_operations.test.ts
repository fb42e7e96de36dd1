/** Cgroups of running containers on the real kernel: found again, updated, measured, watched, stopped. */
import { afterAll, afterEach, describe, expect } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CgroupLayout, detectLayout, readLayout } from "../../src/cgroups/layout.ts";
import { locateCgroup } from "../../src/cgroups/location.ts";
import { type Cgroup, openCgroup, planCgroup } from "../../src/cgroups/manager.ts";
import { watchOom } from "../../src/cgroups/oom.ts";
import { cgroupRecord, openRecord } from "../../src/cgroups/record.ts";
import type { Resources } from "../../src/cgroups/resources.ts";
import { readStatistics, statisticsJson } from "../../src/cgroups/statistics.ts";
import type { Statistics } from "../../src/cgroups/statistics_shape.ts";
import { updateCgroup } from "../../src/cgroups/update.ts";
import { poll } from "../../src/linux/fd.ts";
import { controller, program, root, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const PARENT = `/mydocker-test-${process.pid}`;
const layout = root() === undefined ? readLayout() : { mode: "none" as const, v1: [] };
const v2Only = (): CgroupLayout =>
  detectLayout(
    readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => line.includes(" - cgroup2 "))
      .join("\n"),
  );
const hasV2 = layout.v2 === undefined ? "no cgroup v2 mount" : undefined;
const isV1 = layout.mode === "v2" || layout.mode === "none" ? "no cgroup v1" : undefined;
const [MEMORY, CPU, CPUSET, PIDS, DEVICES] = ["memory", "cpu", "cpuset", "pids", "devices"].map(
  controller,
);

const asRoot = (
  name: string,
  body: () => void | Promise<void>,
  needs: (string | undefined)[] = [],
) => testIf([root(), ...needs], name, body, 20_000);

const mounts = [...layout.v1, ...(layout.v2 === undefined ? [] : [layout.v2])];
let counter = 0;
const made: Cgroup[] = [];

function create(resources: Resources = {}, where: CgroupLayout = layout): Cgroup {
  const cgroup = planCgroup(where, `${PARENT}/${counter++}`, resources);
  made.push(cgroup);
  cgroup.create();
  cgroup.apply(resources);
  return cgroup;
}

afterEach(() => {
  for (const cgroup of made.splice(0)) cgroup.remove();
  for (const { mountPoint } of mounts) {
    const own = mountPoint + PARENT;
    const left = existsSync(own) ? readdirSync(own, { withFileTypes: true }) : [];
    expect(left.filter((entry) => entry.isDirectory())).toEqual([]);
  }
});
afterAll(() => {
  for (const { mountPoint } of mounts)
    if (existsSync(mountPoint + PARENT)) rmdirSync(mountPoint + PARENT);
});

function runIn(cgroup: Cgroup, script: string) {
  const entering = cgroup.joinFiles.map((file) => `echo 0 >${file}`).join(" && ");
  return Bun.spawn(["sh", "-c", `${entering} || exit 99\n${script}`], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
}

/** A process in it that does nothing. */
async function occupy(cgroup: Cgroup) {
  const child = runIn(cgroup, "exec sleep 1000");
  await waitFor("the process", () => cgroup.pids().length === 1);
  return child;
}

/** A file of the cgroup, by its names in both versions. */
function value(cgroup: Cgroup, ...names: string[]): string | undefined {
  for (const { directory } of cgroup.members)
    for (const name of names)
      if (existsSync(`${directory}/${name}`))
        return readFileSync(`${directory}/${name}`, "utf8").trim();
  return undefined;
}

describe("a record", () => {
  asRoot("that went through JSON leads back to the cgroup, and to what it has not yet", async () => {
    const cgroup = create();
    const child = await occupy(cgroup);
    const again = openRecord(JSON.parse(JSON.stringify(cgroupRecord(cgroup))));
    expect(again.joinFiles).toEqual(cgroup.joinFiles);
    expect(again.pids()).toEqual([child.pid]);
    updateCgroup(again, { cpu: { cpus: "0", mems: "0" }, pids: { limit: 9 } });
    expect(readFileSync(`/proc/${child.pid}/status`, "utf8")).toMatch(/^Cpus_allowed_list:\t0$/m);
    expect(value(again, "pids.max")).toBe("9");
    openRecord(cgroupRecord(cgroup)).remove();
    expect(await child.exited).toBe(137);
    expect(openRecord(cgroupRecord(cgroup)).exists()).toBe(false);
  }, [CPUSET, PIDS]);

  asRoot("whose path leads elsewhere is refused", () => {
    const record = cgroupRecord(create());
    const hierarchies = record.hierarchies.map((each) => ({ ...each, path: "/../x" }));
    expect(() => openRecord({ ...record, hierarchies })).toThrow("not a path for a cgroup");
  });
});

describe("a relative path", () => {
  asRoot("is below the caller's own cgroup of each hierarchy", async () => {
    const ownCgroup = () => readFileSync("/proc/self/cgroup", "utf8");
    const cgroupsPath = `../..${PARENT}-own`;
    const location = locateCgroup({ cgroupsPath, id: "x", systemd: false, layout, ownCgroup });
    const cgroup = planCgroup(layout, location, {});
    made.push(cgroup);
    cgroup.create();
    const child = await occupy(cgroup);
    const theirs = readFileSync(`/proc/${child.pid}/cgroup`, "utf8").split("\n");
    const ours = ownCgroup().split("\n");
    const expected = ours.map((line) => `${line.replace(/\/$/, "")}${PARENT}-own`);
    const inIt = theirs.filter((line) => line.endsWith(`${PARENT}-own`));
    expect(inIt.length).toBe(cgroup.members.length);
    if (layout.mode !== "v2") for (const line of inIt) expect(expected).toContain(line);
  });
});

describe("where somebody else lives", () => {
  asRoot("no container is made", async () => {
    const cgroup = create();
    cgroup.refuseIfUsed();
    await occupy(cgroup);
    expect(() => planCgroup(layout, cgroup.path, {}).refuseIfUsed()).toThrow(
      /^cgroup .*\/\d+ is not empty: 1 process\(es\) in it$/,
    );
  });

  asRoot("nor where init would be frozen", () => {
    const cgroup = create();
    cgroup.freeze();
    expect(cgroup.frozen()).toBe(true);
    expect(() => planCgroup(layout, cgroup.path, {}).refuseIfUsed()).toThrow("is frozen");
    cgroup.thaw();
    expect(cgroup.frozen()).toBe(false);
    planCgroup(layout, cgroup.path, {}).refuseIfUsed();
  });
});

describe("an update", () => {
  asRoot("changes what it names and leaves the rest", async () => {
    const cgroup = create({ memory: { limit: 64 << 20 }, pids: { limit: 50 } });
    await occupy(cgroup);
    updateCgroup(openCgroup(layout, cgroup.path), { pids: { limit: 60 } });
    expect(cgroup.stats()).toMatchObject({ memory: { limit: 64 << 20 }, pids: { limit: 60 } });
  }, [MEMORY, PIDS]);

  asRoot("that is refused in the middle sets everything back", async () => {
    const cgroup = create({
      memory: { limit: 64 << 20 },
      pids: { limit: 50 },
      cpu: { quota: 50000, period: 100000 },
    });
    await occupy(cgroup);
    const files = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max"];
    const all = () =>
      [...files, "pids.max", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.max"].map((name) =>
        value(cgroup, name),
      );
    const before = all();
    const update = () =>
      updateCgroup(openCgroup(layout, cgroup.path), {
        memory: { limit: 32 << 20, swap: 48 << 20 },
        cpu: { quota: 20000, period: 50000 },
        pids: { limit: 9 },
        unified: layout.mode === "v2" ? { "cgroup.max.depth": "nonsense" } : {},
        ...(layout.mode === "v2" ? {} : { blockIO: { leafWeight: 5 } }),
      });
    expect(update).toThrow(/leaf_weight = 5|nonsense/);
    expect(all()).toEqual(before);
  }, [MEMORY, PIDS, CPU]);

  asRoot("of device rules that is refused in the middle leaves those that were", () => {
    const cgroup = create({
      devices: [
        { allow: false },
        { allow: true, type: "c", major: 1, minor: 3 },
        { allow: true, type: "c", major: 5, access: "r" },
      ],
    });
    const list = () => value(cgroup, "devices.list");
    const before = list();
    const inner = planCgroup(layout, `${cgroup.path}/inner`, { devices: [{ allow: false }] });
    inner.create();
    inner.apply({ devices: [{ allow: false }, { allow: true, type: "c", major: 1, minor: 3 }] });
    const rules = [
      { allow: false },
      { allow: true, type: "c", major: 5, minor: 1, access: "r" },
      { allow: true, type: "c", major: 10, minor: 1 },
    ] as const;
    expect(() => updateCgroup(inner, { devices: rules })).toThrow(
      /devices.allow = c 10:1 rwm: EPERM: the parent cgroup does not allow that much/,
    );
    expect(value(inner, "devices.list")).toBe("c 1:3 rwm");
    expect(list()).toBe(before);
    inner.remove();
  }, [isV1, DEVICES]);

  asRoot("of what this machine has not names it, and makes nothing", () => {
    const cgroup = create();
    const members = cgroup.members.length;
    for (const [resources, message] of [
      [{ rdma: { mlx5_0: { hcaHandles: 3 } } }, /cgroup rdma: rdma.max = mlx5_0 hca_handle=3: no /],
      [{ network: { classID: 3 } }, /cgroup net_cls: net_cls.classid = 3: .*no such/],
    ] as const) {
      const [name] = Object.keys(resources);
      if (controller(name === "network" ? "net_cls" : "rdma") === undefined) continue;
      expect(() => updateCgroup(cgroup, { cpu: { cpus: "0" }, ...resources })).toThrow(message);
      if (layout.mode !== "v2") expect(cgroup.members.length).toBe(members);
    }
  });
});

asRoot("limits of the network are set where their hierarchy is mounted, and set back", () => {
  // In a mount namespace of its own: elsewhere the hierarchy is not mounted.
  const from = (name: string) => JSON.stringify(join(import.meta.dir, "../../src/cgroups", name));
  const code = `
    import { readFileSync } from "node:fs";
    import { readLayout } from ${from("layout.ts")};
    import { planCgroup } from ${from("manager.ts")};
    import { updateCgroup } from ${from("update.ts")};
    const network = { classID: 0x10001, priorities: [{ name: "lo", priority: 3 }] };
    const cgroup = planCgroup(readLayout(), "${PARENT}-net", { network });
    cgroup.create();
    try {
      cgroup.apply({ network });
      const { directory } = cgroup.members.find(({ hierarchy }) => hierarchy.controllers.includes("net_cls"));
      const show = (name) => console.log(readFileSync(directory + "/" + name, "utf8").split("\\n")[0]);
      show("net_cls.classid");
      show("net_prio.ifpriomap");
      const priorities = [{ name: "nosuch", priority: 3 }];
      try {
        updateCgroup(cgroup, { network: { classID: 5, priorities } });
      } catch (error) {
        console.log(error.message);
      }
      show("net_cls.classid");
    } finally {
      cgroup.remove();
    }`;
  const directory = mkdtempSync(join(tmpdir(), "mydocker-net-"));
  const script = 'mount -t cgroup -o net_cls,net_prio none "$0" && "$1" -e "$2"';
  const { stdout, stderr } = Bun.spawnSync([
    ...["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
    ...[directory, process.execPath, code],
  ]);
  rmdirSync(directory);
  expect({ out: stdout.toString().split("\n"), err: stderr.toString() }).toEqual({
    out: [
      "65537",
      "lo 3",
      "cgroup net_prio: net_prio.ifpriomap = nosuch 3: ENODEV: no such device (asked for by linux.resources.network.priorities)",
      "65537",
      "",
    ],
    err: "",
  });
}, [isV1, togetherOrFree()]);

/** A hierarchy stays for as long as there are cgroups in it, and cannot be mounted with other controllers. */
function togetherOrFree(): string | undefined {
  const [first, second] = ["net_cls", "net_prio"].map(
    (name) => new RegExp(`^${name}\\t(\\d+)`, "m").exec(readFileSync("/proc/cgroups", "utf8"))?.[1],
  );
  return first !== undefined && first === second ? undefined : "net_cls is not free";
}

describe("statistics", () => {
  asRoot("are of the shape that runc prints, and the same where nothing moves", () => {
    const bundle = mkdtempSync(join(tmpdir(), "mydocker-runc-"));
    const id = `mydocker-test-${process.pid}`;
    const runc = (...args: string[]) => {
      const { exitCode, stdout, stderr } = Bun.spawnSync(
        ["runc", "--root", join(bundle, "state"), ...args],
        { cwd: bundle, stdin: "ignore" },
      );
      expect({ args, exitCode, err: stderr.toString() }).toMatchObject({ exitCode: 0 });
      return stdout.toString();
    };
    try {
      mkdirSync(join(bundle, "rootfs/bin"), { recursive: true });
      cpSync(Bun.which("busybox") as string, join(bundle, "rootfs/bin/sleep"));
      runc("spec");
      const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
      config.process.terminal = false;
      config.process.args = ["/bin/sleep", "1000"];
      config.linux.cgroupsPath = `${PARENT}/runc`;
      config.linux.resources = {
        ...config.linux.resources,
        memory: { limit: 64 << 20 },
        pids: { limit: 50 },
        cpu: { quota: 50000, period: 100000 },
      };
      writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
      Bun.spawnSync(["runc", "--root", join(bundle, "state"), "run", "--detach", id], {
        cwd: bundle,
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
      const cgroup = openCgroup(layout, `${PARENT}/runc`);
      cgroup.freeze();
      const theirs = JSON.parse(runc("events", "--stats", id)).data as Statistics;
      const ours = JSON.parse(statisticsJson(readStatistics(cgroup))) as Statistics;
      cgroup.thaw();
      expect(shape(ours)).toEqual(shape(theirs));
      expect(ours.pids).toEqual(theirs.pids);
      // What an ended process leaves is given back in the background, so usage may still sink.
      for (const kind of ["usage", "swap"] as const) {
        const { usage, ...still } = theirs.memory[kind];
        expect(ours.memory[kind]).toMatchObject(still);
        expect(ours.memory[kind].usage).toBeGreaterThan(0);
        expect(usage).toBeGreaterThan(0);
      }
      expect(ours.cpuset).toEqual(theirs.cpuset);
      expect(ours.cpu).toEqual(theirs.cpu);
    } finally {
      Bun.spawnSync(["runc", "--root", join(bundle, "state"), "delete", "--force", id]);
      for (const { mountPoint } of mounts) {
        const own = `${mountPoint}${PARENT}`;
        if (existsSync(own)) rmdirSync(own);
      }
      rmSync(bundle, { recursive: true });
    }
  }, [program("runc"), program("busybox"), MEMORY, PIDS]);
});

/** The names in a value, all the way down. */
function shape(each: unknown): unknown {
  if (Array.isArray(each)) return each.map(shape);
  if (typeof each !== "object" || each === null) return typeof each;
  return Object.fromEntries(
    Object.entries(each)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, shape(inner)]),
  );
}

describe("a watch for a want of memory", () => {
  asRoot("tells of it once it is there, and when the cgroup is gone", async () => {
    const cgroup = create({ memory: { limit: 16 << 20 } });
    using watch = watchOom(cgroup);
    const waits = (timeout: number) =>
      poll([{ fd: watch.fd, events: watch.events, revents: 0 }], timeout) > 0;
    expect(waits(0)).toBe(false);
    expect(watch.check()).toBeUndefined();
    expect(await runIn(cgroup, "exec tail /dev/zero").exited).toBe(137);
    expect(waits(5000)).toBe(true);
    expect(watch.check()).toBe("oom");
    // On v2 the kernel puts off a second notice by 10 ms (CGROUP_FILE_NOTIFY_MIN_INTV): it is no second event.
    while (waits(50)) expect(watch.check()).toBeUndefined();
    cgroup.remove();
    expect(waits(5000)).toBe(true);
    expect(watch.check()).toBe("gone");
  }, [MEMORY]);

  asRoot("needs a memory controller", () => {
    expect(() => watchOom(create({}, v2Only()))).toThrow();
  }, [hasV2, isV1]);
});

asRoot("the v2 hierarchy alone is read, recorded and updated likewise", async () => {
  const cgroup = create({}, v2Only());
  const child = await occupy(cgroup);
  const again = openRecord(cgroupRecord(cgroup));
  expect(again.pids()).toEqual([child.pid]);
  expect(readStatistics(again)).toMatchObject({ network_interfaces: null, blkio: {} });
  const file = `${again.v2Directory}/cgroup.max.depth`;
  updateCgroup(again, { unified: { "cgroup.max.depth": "5" } });
  expect(readFileSync(file, "utf8")).toBe("5\n");
  const unified = { "cgroup.max.depth": "6", "cgroup.max.descendants": "nonsense" };
  expect(() => updateCgroup(again, { unified })).toThrow("nonsense");
  expect(readFileSync(file, "utf8")).toBe("5\n");
}, [hasV2]);
