/** Cgroups on the real kernel: making, limiting, joining, killing, removing, and what is left after a failure. */
import { afterAll, afterEach, describe, expect } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainRules } from "../../src/cgroups/device_rules.ts";
import { CgroupError } from "../../src/cgroups/error.ts";
import { type CgroupLayout, detectLayout, readLayout } from "../../src/cgroups/layout.ts";
import { type Cgroup, createCgroup, openCgroup, planCgroup } from "../../src/cgroups/manager.ts";
import type { DeviceRule } from "../../src/cgroups/resources.ts";
import { attachDeviceRules } from "../../src/cgroups/v2/devices.ts";
import { randomNumbers, randomRules } from "../helpers/device_rules.ts";
import { controller, program, root, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const PARENT = `/mydocker-test-${process.pid}`;
const layout = root() === undefined ? readLayout() : { mode: "none" as const, v1: [] };
/** The v2 mount alone, as if there were no other: on a hybrid machine it has few controllers, but all else. */
const v2Only = (): CgroupLayout =>
  detectLayout(
    readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => line.includes(" - cgroup2 "))
      .join("\n"),
  );
const hasV2 = layout.v2 === undefined ? "no cgroup v2 mount" : undefined;
const isV1 = layout.mode === "v2" || layout.mode === "none" ? "no cgroup v1" : undefined;
const [MEMORY, CPU, CPUSET, PIDS] = ["memory", "cpu", "cpuset", "pids"].map(controller);

const asRoot = (
  name: string,
  body: () => void | Promise<void>,
  needs: (string | undefined)[] = [],
) => testIf([root(), ...needs], name, body, 20_000);

let counter = 0;
const made: Cgroup[] = [];
function create(where: CgroupLayout = layout): Cgroup {
  const cgroup = createCgroup(where, `${PARENT}/${counter++}`);
  made.push(cgroup);
  return cgroup;
}

/** Our cgroups in all hierarchies. */
function leftovers(): string[] {
  const mounts = [...layout.v1, ...(layout.v2 === undefined ? [] : [layout.v2])];
  return mounts.flatMap(({ mountPoint }) => {
    const own = mountPoint + PARENT;
    if (!existsSync(own)) return [];
    return readdirSync(own, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${own}/${name}`);
  });
}

afterEach(() => {
  for (const cgroup of made.splice(0)) cgroup.remove();
  expect(leftovers()).toEqual([]);
});
afterAll(() => {
  for (const { mountPoint } of [...layout.v1, ...(layout.v2 === undefined ? [] : [layout.v2])])
    if (existsSync(mountPoint + PARENT)) rmdirSync(mountPoint + PARENT);
});

/** Runs a shell script in the cgroup, as init joins it. */
function runIn(cgroup: Cgroup, script: string) {
  const join = cgroup.joinFiles.map((file) => `echo 0 >${file}`).join(" && ");
  return Bun.spawn(["sh", "-c", `${join} || exit 99\n${script}`], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
}

const alive = (pid: number) => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

asRoot("a cgroup is made everywhere, joined, seen, killed and removed", async () => {
  const cgroup = create();
  expect(leftovers().length).toBe(cgroup.members.length);
  expect(cgroup.exists()).toBe(true);
  expect(cgroup.pids()).toEqual([]);
  const child = runIn(cgroup, "sleep 1000 & sleep 1000 & wait");
  await waitFor("three processes", () => cgroup.pids().length === 3);
  const own = readFileSync(`/proc/${child.pid}/cgroup`, "utf8").split("\n");
  expect(own.filter((line) => line.endsWith(cgroup.path)).length).toBe(cgroup.members.length);
  const pids = cgroup.pids();
  expect(pids).toContain(child.pid);
  cgroup.remove();
  expect(pids.filter(alive)).toEqual([]);
  expect(await child.exited).toBe(137);
  expect(cgroup.exists()).toBe(false);
});

asRoot("limits are written, and figures read", async () => {
  const cgroup = create();
  cgroup.apply({ memory: { limit: 64 << 20 }, pids: { limit: 50 }, cpu: { shares: 512 } });
  runIn(cgroup, "sleep 1000 & wait");
  await waitFor("two processes", () => cgroup.pids().length === 2);
  const stats = cgroup.stats();
  expect(stats.memory).toMatchObject({ limit: 64 << 20, oomKills: 0 });
  expect(stats.memory?.usage).toBeGreaterThan(0);
  expect(stats.cpu?.usage).toBeGreaterThan(0);
  expect(stats.pids).toEqual({ current: 2, limit: 50 });
  // Back and forth: the order of the writes has to suit both directions.
  for (const limit of [128 << 20, 32 << 20, -1]) {
    cgroup.apply({ memory: { limit } });
    expect(cgroup.stats().memory?.limit).toBe(limit === -1 ? undefined : limit);
  }
}, [MEMORY, PIDS, CPU]);

asRoot("a value that the kernel refuses names controller, file and value, and leaves nothing", () => {
  const cgroup = create();
  const apply = () => cgroup.apply({ cpu: { period: 10, quota: 5000 } });
  expect(apply).toThrow(CgroupError);
  expect(apply).toThrow(
    /cgroup cpu: cpu\.(cfs_period_us|max) = .*10: EINVAL.*--cpu-(period|quota)/,
  );
  cgroup.remove();
  expect(leftovers()).toEqual([]);
}, [CPU]);

asRoot(
  "what is mounted over by something else is no cgroup, and what was made before is undone",
  () => {
    const directory = mkdtempSync(join(tmpdir(), "mydocker-cgroup-"));
    const good = layout.v1.find(({ controllers }) => controllers.includes("memory"));
    const bad = {
      version: 1 as const,
      mountPoint: directory,
      mountRoot: "/",
      controllers: ["pids"],
    };
    const mixed: CgroupLayout = { mode: "v1", v1: [...(good === undefined ? [] : [good]), bad] };
    expect(() => createCgroup(mixed, `${PARENT}/half`)).toThrow("is not a cgroup v1 file system");
    expect(leftovers()).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
    rmdirSync(directory);
  },
);

asRoot("a limit whose controller is not mounted says so", () => {
  const without = {
    ...layout,
    v1: layout.v1.filter(({ controllers }) => !controllers.includes("pids")),
  };
  const cgroup = createCgroup(without, `${PARENT}/without`);
  made.push(cgroup);
  expect(() => cgroup.apply({ pids: { limit: 3 } })).toThrow(
    /cgroup pids: pids.max = 3: no such controller .*--pids-limit/,
  );
}, [isV1, PIDS]);

asRoot("a fork bomb is killed to the last process", async () => {
  const cgroup = create();
  cgroup.apply({ pids: { limit: 300 } });
  // bash tries a fork that the limit refuses again; dash would end, and the bomb soon with it.
  runIn(cgroup, "exec bash -c 'b() { b | b & }; while :; do b; done'");
  await waitFor("many processes", () => cgroup.pids().length > 100);
  const seen = cgroup.pids();
  cgroup.kill();
  expect(cgroup.pids()).toEqual([]);
  expect(seen.filter(alive)).toEqual([]);
}, [PIDS, program("bash")]);

asRoot("a cgroup made inside, with processes of its own, goes too", async () => {
  const cgroup = create();
  const inner = cgroup.members.map(({ directory }) => `${directory}/a.b/c`);
  for (const directory of inner) mkdirSync(directory, { recursive: true });
  // cpuset is not among them, so that every new cgroup takes processes at once.
  const script = inner.map((directory) => `echo 0 >${directory}/cgroup.procs`).join(" && ");
  const child = runIn(cgroup, `${script} && exec sleep 1000`);
  await waitFor("the process inside", () =>
    readFileSync(`${inner[0]}/cgroup.procs`, "utf8").includes(String(child.pid)),
  );
  expect(cgroup.pids()).toEqual([child.pid]);
  cgroup.remove();
  expect(await child.exited).toBe(137);
  expect(leftovers()).toEqual([]);
});

asRoot("what is frozen stands still, and is killed all the same", async () => {
  const cgroup = create();
  const child = runIn(cgroup, "while :; do :; done");
  await waitFor("the process", () => cgroup.pids().length === 1);
  const used = () =>
    readFileSync(`/proc/${child.pid}/stat`, "utf8").split(" ").slice(13, 15).join();
  cgroup.freeze();
  const before = used();
  await Bun.sleep(100);
  expect(used()).toBe(before);
  cgroup.thaw();
  await waitFor("progress", () => used() !== before);
  cgroup.freeze();
  cgroup.remove();
  expect(await child.exited).toBe(137);
});

describe("oomKilled", () => {
  const hog = "exec tail /dev/zero";

  asRoot("tells a process over its limit from one that was killed", async () => {
    const killed = create();
    const child = runIn(killed, "exec sleep 1000");
    await waitFor("the process", () => killed.pids().length === 1);
    child.kill("SIGKILL");
    await child.exited;
    expect(killed.oomKilled()).toBe(false);

    const cgroup = create();
    cgroup.apply({ memory: { limit: 16 << 20 } });
    expect(await runIn(cgroup, hog).exited).toBe(137);
    expect(cgroup.oomKilled()).toBe(true);
  }, [MEMORY]);

  asRoot("counts in cgroups made inside", async () => {
    const cgroup = create();
    cgroup.apply({ memory: { limit: 16 << 20 } });
    const memory = cgroup.members.find(({ controllers }) =>
      controllers.some(({ name }) => name === "memory"),
    );
    const inner = `${memory?.directory}/inner`;
    mkdirSync(inner);
    const exit = await runIn(cgroup, `echo 0 >${inner}/cgroup.procs && ${hog}`).exited;
    expect(exit).toBe(137);
    expect(cgroup.oomKilled()).toBe(true);
  }, [MEMORY]);
});

asRoot("a limit that needs a further hierarchy takes along what already runs", async () => {
  const cgroup = create();
  runIn(cgroup, "sleep 1000 & sleep 1000 & wait");
  await waitFor("three processes", () => cgroup.pids().length === 3);
  const before = cgroup.members.length;
  cgroup.apply({ cpu: { cpus: "0", mems: "0" } });
  if (layout.mode !== "v2") expect(cgroup.members.length).toBe(before + 1);
  for (const pid of cgroup.pids())
    expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(/^Cpus_allowed_list:\t0$/m);
}, [CPUSET]);

asRoot("planned for a cpuset, it can be joined as soon as it is limited", async () => {
  const cgroup = planCgroup(layout, `${PARENT}/set`, { cpu: { cpus: "0" } });
  made.push(cgroup);
  cgroup.create();
  cgroup.apply({ cpu: { cpus: "0" } });
  const child = runIn(cgroup, '[ "$(nproc)" = 1 ]');
  expect(await child.exited).toBe(0);
}, [CPUSET]);

asRoot("one that was left behind is found by its path, and a missing one is no error", async () => {
  const { path, joinFiles } = create();
  const found = openCgroup(layout, path);
  expect(found.exists()).toBe(true);
  // Only what was made: by these, a second process joins.
  expect(found.joinFiles).toEqual(joinFiles);
  const child = runIn(found, "exec sleep 1000");
  await waitFor("the process", () => found.pids().length === 1);
  expect(found.pids()).toEqual([child.pid]);
  openCgroup(layout, path).remove();
  expect(await child.exited).toBe(137);
  expect(openCgroup(layout, path).exists()).toBe(false);
  openCgroup(layout, path).remove();
  openCgroup(layout, path).kill();
});

asRoot("a path that could lead elsewhere is refused before anything is made", () => {
  for (const path of [`${PARENT}/../x`, "/", `${PARENT}//x`, "relative"])
    expect(() => createCgroup(layout, path)).toThrow("not a path for a cgroup");
});

describe("device rules", () => {
  const nullOnly: DeviceRule[] = [
    { allow: false },
    { allow: true, type: "c", major: 1, minor: 3, access: "rw" },
  ];
  /** Opens as the container would: what works is told by letters. */
  const probe = (cgroup: Cgroup, node: string) =>
    runIn(
      cgroup,
      `r=0; true </dev/null && true >/dev/null || r=$((r + 1))
       true </dev/zero && r=$((r + 2)); mknod ${node} c 1 3 && r=$((r + 4)); exit $r`,
    ).exited;
  const withNode = async (body: (node: string) => Promise<void>) => {
    const directory = mkdtempSync(join(tmpdir(), "mydocker-device-"));
    try {
      await body(join(directory, "node"));
    } finally {
      rmSync(directory, { recursive: true });
    }
  };
  const [DENIED, ZERO, MKNOD] = [0, 2, 4];

  for (const [version, where, needs] of [
    [1, () => layout, [isV1, controller("devices")]],
    [2, v2Only, [hasV2]],
  ] as const) {
    asRoot(`hold on v${version}, are replaced, and restrict nothing when all is allowed`, async () => {
      const place = where();
      const cgroup = planCgroup(place, `${PARENT}/devices`, { devices: nullOnly });
      made.push(cgroup);
      cgroup.create();
      cgroup.apply({ devices: nullOnly });
      await withNode(async (node) => {
        expect(await probe(cgroup, node)).toBe(DENIED);
        const reopened = openCgroup(place, cgroup.path);
        reopened.apply({
          devices: [...nullOnly, { allow: true, type: "c", major: 1, minor: 5, access: "r" }],
        });
        expect(await probe(cgroup, node)).toBe(ZERO);
        reopened.apply({ devices: [{ allow: true, type: "a", access: "rwm" }] });
        expect(await probe(cgroup, node)).toBe(ZERO + MKNOD);
        reopened.apply({ devices: nullOnly });
        expect(await probe(cgroup, `${node}2`)).toBe(DENIED);
      });
    }, [...needs]);
  }

  asRoot("of any shape are taken by the kernel's verifier", () => {
    const directory = create(v2Only()).v2Directory as string;
    const random = randomNumbers(4);
    for (let count = 0; count < 200; count++)
      attachDeviceRules(directory, plainRules(randomRules(random)));
  }, [hasV2]);
});

describe("the v2 hierarchy alone", () => {
  asRoot("is joined, frozen, and killed with all that is inside", async () => {
    const cgroup = create(v2Only());
    const directory = cgroup.v2Directory as string;
    expect(cgroup.joinFiles).toEqual([`${directory}/cgroup.procs`]);
    mkdirSync(`${directory}/inner`);
    const children = [
      runIn(cgroup, "sleep 1000 & wait"),
      runIn(cgroup, `echo 0 >${directory}/inner/cgroup.procs; exec sleep 1000`),
    ];
    await waitFor("three processes", () => cgroup.pids().length === 3);
    await waitFor("the second to go further in", () =>
      readFileSync(`${directory}/inner/cgroup.procs`, "utf8").includes(`${children[1]?.pid}`),
    );
    cgroup.freeze();
    expect(readFileSync(`${directory}/cgroup.events`, "utf8")).toContain("frozen 1");
    cgroup.remove();
    expect(await Promise.all(children.map(({ exited }) => exited))).toEqual([137, 137]);
    expect(existsSync(directory)).toBe(false);
  }, [hasV2]);

  asRoot("hands down what it has, and names a controller that it has not", () => {
    const where = v2Only();
    const has = readFileSync(`${where.v2?.mountPoint}/cgroup.controllers`, "utf8")
      .trim()
      .split(" ");
    const cgroup = create(where);
    const controllers = readFileSync(`${cgroup.v2Directory}/cgroup.controllers`, "utf8");
    for (const name of has.filter((each) => ["memory", "cpu", "pids", "hugetlb"].includes(each)))
      expect(controllers).toContain(name);
    if (!has.includes("pids"))
      expect(() => cgroup.apply({ pids: { limit: 3 } })).toThrow(
        "cgroup pids: pids.max = 3: no pids controller in this cgroup v2 hierarchy (asked for by --pids-limit)",
      );
    expect(() => cgroup.apply({ unified: { "cgroup.max.depth": "nonsense" } })).toThrow(
      /cgroup\.max\.depth = nonsense: EINVAL.*linux\.resources\.unified/,
    );
    cgroup.apply({ unified: { "cgroup.max.descendants": "0" } });
    expect(() => createCgroup(where, `${cgroup.path}/below`)).toThrow(
      "cgroup limit reached (cgroup.max.descendants",
    );
  }, [hasV2]);
});
