import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, type Result, useEngine } from "../helpers/cli.ts";
import { program, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

interface Found {
  readonly name: string;
  readonly status: string;
  readonly found: string;
  readonly why: string;
  readonly fix?: string;
}
interface Diagnosis {
  readonly works: boolean;
  readonly checks: readonly Found[];
}

const parse = ({ out }: Result) => JSON.parse(out) as Diagnosis;

describe("on this machine doctor", () => {
  test("says that run works, and looks at everything once", async () => {
    const result = await engine.call(["doctor", "--json"]);
    const { works, checks } = parse(result);
    const failures = checks.filter(({ status }) => status === "failure");
    expect({ failures, works, exitCode: result.exitCode, err: result.err }).toEqual({
      failures: [],
      works: true,
      exitCode: 0,
      err: "",
    });
    for (const { name, status, found, why, fix } of checks) {
      expect([name, found, why].every((text) => text.length > 1)).toBe(true);
      expect(`${name}: ${fix === undefined}`).toBe(`${name}: ${status === "ok"}`);
    }
    const names = checks.map(({ name }) => name);
    expect(
      names.filter((name, index) => names.indexOf(name) !== index && name !== "stale state"),
    ).toEqual([]);
    for (const area of [
      "kernel version",
      "cgroup layout",
      "overlay",
      "subuid",
      "subgid",
      "seccomp",
      "AppArmor",
      "SELinux",
      "nftables",
      "IPv4 forwarding",
      "bridge netfilter",
      "open files",
      "state root: space",
      "run directory: space",
      "clock",
      "stale state",
      "trial run",
    ])
      expect(names).toContain(area);
  });

  test("finds what others say of it", async () => {
    const { checks } = parse(await engine.call(["doctor", "--json"]));
    const of = (name: string) => checks.find((each) => each.name === name);
    const release = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
    expect(of("kernel version")?.found).toBe(release);
    const forwards = readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim() === "1";
    expect(of("IPv4 forwarding")?.status).toBe(forwards ? "ok" : "warning");
    const layout = (await engine.call(["info", "-f", "{{.CgroupLayout}}"])).out;
    expect(of("cgroup layout")?.found).toStartWith(`${layout}, `);
    expect(of("state root")?.found).toBe(engine.root);
  });

  test("prints a line for each finding, and below it why and fix of what is wrong", async () => {
    const { out, exitCode } = await engine.call(["doctor"]);
    const { checks } = parse(await engine.call(["doctor", "--json"]));
    expect(exitCode).toBe(0);
    const wrong = checks.filter(({ status }) => status !== "ok");
    expect(out.split("\n").filter((line) => /^(ok|warning|failure) /.test(line))).toHaveLength(
      checks.length,
    );
    expect(out.split("\n").filter((line) => /^ +(why|fix): \S/.test(line))).toHaveLength(
      2 * wrong.length,
    );
    expect(out).toMatch(/^STATUS +CHECK +FOUND\n/);
    expect(out).toMatch(/\n\nmydocker run works here(: \d+ warnings?)?$/);
  });

  test("takes no arguments, and is under system, too", async () => {
    const { exitCode, err } = await engine.call(["doctor", "x"]);
    expect([exitCode, err.split("\n")[0]]).toEqual([
      1,
      expect.stringContaining('"mydocker doctor" accepts no arguments'),
    ]);
    expect((await engine.call(["system", "doctor", "--json"])).exitCode).toBe(0);
  });
});

/** In a mount namespace of its own: a way to take something away, and what doctor says of it. */
interface Loss {
  /** sh, with $STATE as the state root and $STATE_RUN as the run directory */
  readonly script: string;
  /** `status name: found` */
  readonly says: RegExp;
  readonly runs: boolean;
  /** what wraps the commands */
  readonly prefix?: string;
}

const isV2 = existsSync("/sys/fs/cgroup/cgroup.controllers");

const LOSSES: Readonly<Record<string, Loss>> = {
  "cgroups hidden by another mount": {
    script: "mount -t tmpfs tmpfs /sys/fs/cgroup",
    says: /^failure cgroup layout: .* is not a cgroup v\d file system$/m,
    runs: false,
  },
  "no cgroups mounted": {
    script: "umount -R -l /sys/fs/cgroup",
    says: /^failure cgroup layout: no cgroup file system is mounted$/m,
    runs: false,
  },
  "cgroups mounted read-only": {
    script:
      "for at in /sys/fs/cgroup /sys/fs/cgroup/*/; do mountpoint -q $at && mount -o remount,bind,ro $at; done; true",
    says: /^failure cgroup layout: .* is mounted read-only$/m,
    runs: false,
  },
  ...(isV2
    ? {}
    : {
        "no devices controller": {
          script: "umount -l /sys/fs/cgroup/devices",
          says: /^failure cgroup controller devices: not there$/m,
          runs: false,
        },
        "no memory controller": {
          script: "umount -l /sys/fs/cgroup/memory",
          says: /^warning cgroup controller memory: not there$/m,
          runs: true,
        },
      }),
  "a read-only state root": {
    script: 'mount --bind "$STATE" "$STATE" && mount -o remount,bind,ro "$STATE"',
    says: /^failure state root: .* is on a read-only file system$/m,
    runs: false,
  },
  "a read-only run directory": {
    script: 'mount --bind "$STATE_RUN" "$STATE_RUN" && mount -o remount,bind,ro "$STATE_RUN"',
    says: /^failure run directory: .* is on a read-only file system$/m,
    runs: false,
  },
  "a full state root": {
    script:
      'mount -t tmpfs -o size=1m,mode=700 tmpfs "$STATE" && { cat /dev/zero > "$STATE/full" 2>/dev/null; true; }',
    says: /^failure state root: space: 0 MiB free$/m,
    runs: false,
  },
  "a state root without inodes": {
    script: 'mount -t tmpfs -o nr_inodes=3,mode=700 tmpfs "$STATE"',
    says: /^failure state root: inodes: 2 free$/m,
    runs: false,
  },
  "little room": {
    script: 'mount -t tmpfs -o size=32m,mode=700 tmpfs "$STATE"',
    says: /^warning state root: space: 3\d MiB free$/m,
    runs: true,
  },
  "a state root that is a file": {
    script: 'mount -t tmpfs tmpfs "$STATE/.." && touch "$STATE" && mkdir "$STATE_RUN"',
    says: /^failure state root: .* is no directory$/m,
    runs: false,
  },
  "a state root that others can look into": {
    script: 'mount -t tmpfs -o mode=755 tmpfs "$STATE"',
    says: /^warning state root: .* has mode 755$/m,
    runs: true,
  },
  "few open files": {
    script: "ulimit -n 200",
    says: /^warning open files: 200, fewer than 256$/m,
    runs: true,
  },
  "no CAP_SYS_ADMIN": {
    script: "true",
    prefix: "setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin",
    says: /^failure privileges: without CAP_SYS_ADMIN$/m,
    runs: false,
  },
  "no right to make device nodes": {
    script: "true",
    prefix: "setpriv --bounding-set=-mknod --inh-caps=-mknod",
    says: /^warning CAP_MKNOD: not held$/m,
    runs: true,
  },
  "no network administration": {
    script: "true",
    prefix: "setpriv --bounding-set=-net_admin --inh-caps=-net_admin",
    says: /^failure privileges: without CAP_NET_ADMIN$/m,
    runs: false,
  },
};

describe("with things taken away doctor agrees with run:", () => {
  for (const [what, { script, says, runs, prefix = "" }] of Object.entries(LOSSES)) {
    testIf([program("unshare"), program("setpriv")], what, async () => {
      // "$@" keeps mydocker's words; the directories are the engine's own.
      const { out } = await engine.exec(
        [
          ...["unshare", "--mount", "--propagation", "private", "sh", "-c"],
          `STATE=$MYDOCKER_ROOT STATE_RUN=$MYDOCKER_RUN
${script} || { echo "not taken away"; exit 9; }
${prefix} "$MYDOCKER" doctor --json; echo "@ doctor $?"
${prefix} "$MYDOCKER" run --rm --network none busybox true 2>&1; echo "@ run $?"`,
        ],
        {},
      );
      const [, json = "", doctor, said, run] =
        /^([\s\S]*)\n@ doctor (\d+)\n([\s\S]*?)\n?@ run (\d+)$/.exec(out) ?? [];
      expect(`${out.includes("@ run")} ${json === "" ? out : ""}`).toBe("true ");
      const { checks, works } = JSON.parse(json) as Diagnosis;
      const lines = checks
        .map(({ status, name, found }) => `${status} ${name}: ${found}`)
        .join("\n");
      expect(lines).toMatch(says);
      expect({ works, doctor, run: `${run} ${said}`.trim() }).toEqual(
        runs
          ? { works: true, doctor: "0", run: expect.stringMatching(/^0/) }
          : { works: false, doctor: "1", run: expect.stringMatching(/^125 mydocker: /) },
      );
    });
  }
});

describe("stale state is found", () => {
  const stale = async () =>
    parse(await engine.call(["doctor", "--json"]))
      .checks.filter(({ name, status }) => name === "stale state" && status === "warning")
      .map(({ found }) => found);

  test("of a run that was killed, and the trial run has finished its work", async () => {
    const run = engine.start(["run", "-i", "--name", "left", "busybox", "cat"]);
    const owners = join(engine.runFolder, "owners");
    const [id = ""] = await waitFor("an owner", () => {
      const names = readdirSync(owners);
      return names.length > 0 &&
        readFileSync(join(owners, names[0] as string), "utf8").includes('"process"')
        ? names
        : undefined;
    });
    expect(await stale()).not.toContainEqual(expect.stringContaining(id.slice(0, 12)));
    run.kill("SIGKILL");
    await run.end();
    expect(await stale()).toContain(`containers that a killed command left: ${id.slice(0, 12)}`);
    expect((await engine.call(["ps", "-a", "--format", "{{.Names}} {{.Status}}"])).out).toMatch(
      /^left Exited \(137\)/,
    );
    await engine.call(["rm", "left"]);
  });

  test("of damaged containers and half made images", async () => {
    await engine.call(["run", "--name", "broken", "busybox", "true"]);
    const [id = ""] = readdirSync(join(engine.root, "containers"));
    writeFileSync(join(engine.root, "containers", id, "container.json"), "{");
    const half = join(engine.root, "images", "tmp", crypto.randomUUID());
    mkdirSync(half, { recursive: true });
    const found = await stale();
    expect(found).toContain(`containers with damaged files: ${id.slice(0, 12)}`);
    expect(found).toContainEqual(expect.stringContaining(half.slice(half.lastIndexOf("/") + 1)));
    await engine.call(["rm", "-f", id]);
    rmSync(half, { recursive: true, force: true });
    expect(await stale()).not.toContainEqual(expect.stringContaining(id.slice(0, 12)));
  });
});

leavesNothingBehind(engine);
