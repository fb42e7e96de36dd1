/** What config.json says, seen from inside the container. */

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { readStat } from "../helpers/leaks.ts";
import { type Config, OciRuntime, RUNTIME } from "../helpers/oci_runtime.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();
const oci = new OciRuntime(engine);

/** Adds capabilities to all the sets that count. */
const _grant = (config: Config, ...names: string[]) => {
  for (const set of ["bounding", "effective", "permitted"]) {
    config.process.capabilities[set] = [...config.process.capabilities[set], ...names];
  }
};

const namespace = (config: Config, type: string, path?: string) => {
  const others = config.linux.namespaces.filter((entry: Config) => entry.type !== type);
  config.linux.namespaces = [...others, path === undefined ? { type } : { type, path }];
};

describe("process", () => {
  test("user, groups, umask, working directory, limits and HOME", async () => {
    const { out, err } = await oci.sh(
      "id -u; id -g; id -G; umask; pwd; ulimit -n; echo $HOME",
      (config) => {
        config.process.user = { uid: 1000, gid: 1000, additionalGids: [7, 8], umask: 0o27 };
        config.process.cwd = "/tmp";
        config.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 77, hard: 88 }];
      },
    );
    expect(err).toBe("");
    expect(out).toBe("1000\n1000\n1000 7 8\n0027\n/tmp\n77\n/home/ann");
  });

  test("capabilities in five sets, and no_new_privs", async () => {
    const { out } = await oci.sh("grep -E '^(Cap|NoNew)' /proc/self/status", (config) => {
      config.process.capabilities = {
        bounding: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        permitted: ["CAP_CHOWN", "CAP_KILL"],
        effective: ["CAP_CHOWN", "CAP_KILL"],
        inheritable: ["CAP_KILL"],
        ambient: ["CAP_KILL"],
      };
      config.process.noNewPrivileges = false;
    });
    const bits = (...numbers: number[]) =>
      numbers
        .reduce((sum, bit) => sum | (1 << bit), 0)
        .toString(16)
        .padStart(16, "0");
    expect(out.split("\n")).toEqual([
      `CapInh:\t${bits(5)}`,
      // Root's sets after execve(2) are what is inheritable and what bounds (capabilities(7)).
      `CapPrm:\t${bits(0, 5, 13)}`,
      `CapEff:\t${bits(0, 5, 13)}`,
      `CapBnd:\t${bits(0, 5, 13)}`,
      `CapAmb:\t${bits(5)}`,
      "NoNewPrivs:\t0",
    ]);
  });

  test("capabilities that cannot be granted are a warning", async () => {
    const names = ["CAP_CHOWN", "CAP_SYS_TIME"];
    const bundle = oci.bundle(["grep", "CapBnd", "/proc/self/status"], (config) => {
      config.process.capabilities = { bounding: names, effective: names, permitted: names };
    });
    const command = [
      ...["setpriv", "--bounding-set=-sys_time", RUNTIME, "--root", oci.root],
      ...["run", "--bundle", bundle, "ungranted"],
    ];
    const { out, err, exitCode } = await engine.bash('"$@"', { args: command });
    const what = "process.capabilities: mydocker does not hold, so cannot grant: CAP_SYS_TIME";
    expect(err).toBe(`mydocker-oci: warning: ${what}`);
    expect(out).toBe("CapBnd:\t0000000000000001");
    expect(exitCode).toBe(0);
  });

  test("scheduler, priorities and personality", async () => {
    const { out, err } = await oci.sh(
      "cut -d' ' -f19 /proc/$$/stat; ionice -p $$; sed -n 's/^policy *: *//p' /proc/$$/sched; cat /proc/$$/personality",
      (config) => {
        config.process.scheduler = { policy: "SCHED_BATCH", nice: 5 };
        config.process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 6 };
        config.linux.personality = { domain: "LINUX32" };
        config.process.oomScoreAdj = 321;
      },
    );
    expect(err).not.toContain("error");
    expect(out).toMatch(/^5\nbest-effort: prio 6\n(3\n)?00000008$/);
  });

  test("streams that are the host's /dev/null become the container's, which it may change", async () => {
    const mode = () => statSync("/dev/null").mode;
    const before = mode();
    const { exitCode, out } = await oci.sh("chmod 700 /proc/self/fd/0; stat -c %a /dev/null");
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: "700" });
    expect(mode()).toBe(before);
  });

  test("oomScoreAdj", async () => {
    const set = (config: Config) => {
      config.process.oomScoreAdj = 321;
    };
    expect((await oci.sh("cat /proc/self/oom_score_adj", set)).out).toBe("321");
  });

  test("a terminal goes to the console socket, with its size", async () => {
    const bundle = oci.bundle(
      ["sh", "-c", "tty; stty size; readlink /proc/self/fd/0"],
      (config) => {
        config.process.terminal = true;
        config.process.consoleSize = { height: 33, width: 44 };
      },
    );
    const socket = join(bundle, "console.sock");
    const receiver = Bun.spawn(
      [process.execPath, join(import.meta.dir, "../fixtures/console_receiver.ts"), socket],
      {
        stdout: "pipe",
      },
    );
    await waitFor("the socket", () =>
      Bun.spawnSync(["test", "-S", socket]).success ? true : undefined,
    );
    expect(await oci.create("tty", bundle, "--console-socket", socket)).toMatchObject({
      exitCode: 0,
    });
    await oci.call(["start", "tty"]);
    const shown = await new Response(receiver.stdout).text();
    expect(shown.replaceAll("\r", "")).toBe("/dev/pts/0\n33 44\n/dev/pts/0\n");
    await oci.remove("tty");
  });

  test("a terminal without a console socket is an error", async () => {
    const bundle = oci.bundle(["true"], (config) => {
      config.process.terminal = true;
    });
    expect((await oci.create("no-socket", bundle)).err).toContain("--console-socket is missing");
    const plain = oci.bundle(["true"]);
    const socket = join(plain, "sock");
    expect((await oci.create("no-tty", plain, "--console-socket", socket)).err).toContain(
      "process.terminal is false",
    );
  });
});

describe("namespaces", () => {
  test("by path are joined", async () => {
    const holder = oci.bundle(["sleep", "100"]);
    await oci.start("holder", holder);
    const { pid } = await oci.state("holder");
    const types = { network: "net", ipc: "ipc", uts: "uts", pid: "pid" };
    const look = "for n in net ipc uts pid mnt; do readlink /proc/self/ns/$n; done; hostname";
    const { out, err } = await oci.sh(look, (config) => {
      for (const [type, file] of Object.entries(types))
        namespace(config, type, `/proc/${pid}/ns/${file}`);
      delete config.hostname;
    });
    expect(err).toBe("");
    const there = (await oci.call(["exec", "holder", "sh", "-c", look])).out.split("\n");
    const here = out.split("\n");
    expect(here.slice(0, 4)).toEqual(there.slice(0, 4));
    expect(here[4]).not.toBe(there[4]);
    expect(here[5]).toBe("oci");
    await oci.remove("holder");
  });

  test("a path that is no such namespace is one clear error", async () => {
    const { err, exitCode } = await oci.run(["true"], (config) =>
      namespace(config, "network", "/proc/self/ns/uts"),
    );
    expect(exitCode).toBe(1);
    expect(err).toMatch(/network namespace \/proc\/self\/ns\/uts/);
    const missing = await oci.run(["true"], (config) => namespace(config, "ipc", "/nowhere"));
    expect(missing.err).toContain("/nowhere");
    expect(missing.err).toContain("ENOENT");
  });

  test("a time namespace has its offsets", async () => {
    const up = (text: string) => Number(text.split(".")[0]);
    const { out, err } = await oci.sh("cat /proc/uptime; readlink /proc/self/ns/time", (config) => {
      namespace(config, "time");
      config.linux.timeOffsets = { boottime: { secs: 1_000_000, nanosecs: 0 } };
    });
    expect(err).toBe("");
    expect(up(out)).toBeGreaterThan(1_000_000);
    expect(out.split("\n")[1]).not.toBe(
      Bun.spawnSync(["readlink", "/proc/self/ns/time"]).stdout.toString().trim(),
    );
  });

  test("a user namespace maps its ids, and root in it is none outside", async () => {
    const { out, err, exitCode } = await oci.sh(
      "id -u; cat /proc/self/uid_map; touch /tmp/made; cat /proc/self/setgroups; echo x >/dev/null; hostname",
      (config) => {
        namespace(config, "user");
        config.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
        config.linux.gidMappings = [{ containerID: 0, hostID: 200000, size: 65536 }];
        config.mounts.push({
          destination: "/tmp",
          type: "tmpfs",
          source: "tmpfs",
          options: ["mode=1777"],
        });
        config.mounts = config.mounts.filter((mount: Config) => mount.type !== "cgroup");
      },
    );
    expect(err).toBe("");
    expect(exitCode).toBe(0);
    expect(out.replace(/ +/g, " ")).toBe("0\n 0 100000 65536\nallow\noci");
  });

  test("exec joins a user namespace, too", async () => {
    const bundle = oci.bundle(["sleep", "100"], (config) => {
      namespace(config, "user");
      config.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
      config.linux.gidMappings = [{ containerID: 0, hostID: 200000, size: 65536 }];
    });
    await oci.start("user", bundle);
    const { pid } = await oci.state("user");
    expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(/Uid:\t100000\t/);
    const { out, err } = await oci.call([
      "exec",
      "user",
      "sh",
      "-c",
      "id -u; readlink /proc/self/ns/user; readlink /proc/1/ns/user",
    ]);
    expect(err).toBe("");
    const [uid, own, first] = out.split("\n");
    expect([uid, own]).toEqual(["0", first as string]);
    await oci.remove("user");
  });
});

describe("hooks", () => {
  test("run in their places and order, with the state on their standard input", async () => {
    const log = join(engine.directory("hooks"), "log");
    const bundle = oci.bundle(["sleep", "100"], (config) => {
      const hook = (name: string) => ({
        path: "/bin/sh",
        args: ["sh", "-c", `read -r state; echo "${name} $state" >>$LOG`],
        env: [`LOG=${log}`, "PATH=/bin:/usr/bin"],
      });
      config.annotations = { a: "b" };
      config.hooks = {};
      for (const place of [
        "prestart",
        "createRuntime",
        "createContainer",
        "poststart",
        "poststop",
      ]) {
        config.hooks[place] = [hook(`${place}-1`), hook(`${place}-2`)];
      }
      config.hooks.startContainer = [
        { ...hook("startContainer"), path: "/bin/sh", env: ["LOG=/log"] },
      ];
    });
    await oci.create("hooked", bundle);
    const { pid } = await oci.state("hooked");
    await oci.call(["start", "hooked"]);
    await oci.call(["delete", "--force", "hooked"]);
    const inside = readFileSync(join(bundle, "rootfs/log"), "utf8");
    const lines = readFileSync(log, "utf8").trim().split("\n");
    const entries = lines.map((line) => ({
      name: line.slice(0, line.indexOf(" ")),
      state: JSON.parse(line.slice(line.indexOf(" "))),
    }));
    expect(entries.map(({ name }) => name)).toEqual([
      "prestart-1",
      "prestart-2",
      "createRuntime-1",
      "createRuntime-2",
      "createContainer-1",
      "createContainer-2",
      "poststart-1",
      "poststart-2",
      "poststop-1",
      "poststop-2",
    ]);
    expect(entries[0]?.state).toEqual({
      ociVersion: "1.0.2",
      id: "hooked",
      status: "created",
      bundle,
      annotations: { a: "b" },
      pid,
    });
    expect(entries[2]?.state).toMatchObject({ status: "creating", pid });
    expect(entries[6]?.state).toMatchObject({ status: "running", pid });
    expect(entries[8]?.state).toMatchObject({ status: "stopped" });
    expect(inside).toMatch(/^startContainer \{.*"status":"created"/);
  });

  test("one that fails, or takes too long, stops the creation and is told", async () => {
    for (const [args, timeout, problem] of [
      [["sh", "-c", "echo because >&2; exit 3"], undefined, "exit code 3: because"],
      [["sh", "-c", "sleep 100"], 1, "not ended after 1 s"],
    ] as const) {
      const { exitCode, err } = await oci.run(["true"], (config) => {
        config.hooks = {
          createRuntime: [{ path: "/bin/sh", args, ...(timeout ? { timeout } : {}) }],
        };
      });
      expect(exitCode).toBe(1);
      expect(err).toContain(`createRuntime hook 0 (/bin/sh): ${problem}`);
      expect((await oci.call(["list", "-q"])).out).toBe("");
    }
  });
});

describe("a hook that fails after the process was executed", () => {
  const failing = { path: "/bin/sh", args: ["sh", "-c", "echo because >&2; exit 3"] };
  const touching = (file: string) => ({ path: "/bin/touch", args: ["touch", file] });

  test("poststart: start fails, and the container is stopped and deleted", async () => {
    const file = join(engine.directory("hooks"), "poststop");
    const bundle = oci.bundle(["sleep", "100"], (config) => {
      config.hooks = { poststart: [failing], poststop: [touching(file)] };
    });
    await oci.create("undone", bundle);
    const { pid } = await oci.state("undone");
    const { exitCode, err } = await oci.call(["start", "undone"]);
    expect(exitCode).toBe(1);
    expect(err).toBe("mydocker-oci: error: poststart hook 0 (/bin/sh): exit code 3: because");
    expect((await oci.call(["state", "undone"])).err).toContain("container does not exist");
    expect(readStat(pid)?.state ?? "Z").toBe("Z");
    expect(existsSync(file)).toBe(true);
  });

  test("poststop: a warning, and the others run", async () => {
    const file = join(engine.directory("hooks"), "poststop-2");
    const { exitCode, err } = await oci.run(["true"], (config) => {
      config.hooks = { poststop: [failing, touching(file)] };
    });
    expect(exitCode).toBe(0);
    expect(err).toBe("mydocker-oci: warning: poststop hook 0 (/bin/sh): exit code 3: because");
    expect(existsSync(file)).toBe(true);
  });
});

describe("limits", () => {
  test("are changed by update, by a file and by options", async () => {
    const bundle = oci.bundle(["sleep", "100"], (config) => {
      config.linux.resources.pids = { limit: 50 };
    });
    await oci.start("limited", bundle);
    const stats = async () => JSON.parse((await oci.call(["events", "--stats", "limited"])).out);
    expect(await stats()).toMatchObject({
      type: "stats",
      id: "limited",
      data: { pids: { limit: 50 } },
    });
    expect(
      await oci.call(["update", "--resources", "-", "limited"], { stdin: '{"pids":{"limit":60}}' }),
    ).toMatchObject({ exitCode: 0, err: "" });
    expect((await stats()).data.pids.limit).toBe(60);
    expect(
      await oci.call(["update", "--pids-limit", "70", "--memory", "64m", "limited"]),
    ).toMatchObject({ exitCode: 0, err: "" });
    const { data } = await stats();
    expect(data.pids.limit).toBe(70);
    expect(data.memory.usage.limit).toBe(64 << 20);
    const bad = await oci.call(["update", "--cpuset-cpus", "4096", "limited"]);
    expect(bad.exitCode).toBe(1);
    expect(bad.err).toContain("cpuset");
    await oci.remove("limited");
  });
});

describe("config.json that is wrong", () => {
  test.each<[string, (config: Config) => void, string]>([
    ["version", (c) => (c.ociVersion = "2.0.0"), "ociVersion"],
    ["root", (c) => delete c.root, "root"],
    ["a type", (c) => (c.process.args = "sh"), "process.args"],
    ["namespaces", (c) => c.linux.namespaces.push({ type: "pid" }), "linux.namespaces[5]"],
    [
      "a mount",
      (c) => c.mounts.push({ destination: "/a/../../x", type: "tmpfs", source: "t" }),
      "mounts[7].destination",
    ],
  ])("%s: is one error that names the place, and nothing is made", async (_, change, path) => {
    const bundle = oci.bundle(["true"], change);
    const { exitCode, err } = await oci.create("wrong", bundle);
    expect(exitCode).toBe(1);
    expect(JSON.parse(err).msg).toStartWith(path);
    expect((await oci.call(["list", "-q"])).out).toBe("");
  });
});

test("spec writes a config.json once, and features and --version say what there is", async () => {
  const bundle = engine.directory("spec");
  expect(await oci.call(["spec", "--bundle", bundle])).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"))).toMatchObject({
    process: { args: ["sh"] },
  });
  expect((await oci.call(["spec", "--bundle", bundle])).err).toContain("config.json exists");
  expect(JSON.parse((await oci.call(["features"])).out)).toMatchObject({ ociVersionMin: "1.0.0" });
  expect((await oci.call(["--version"])).out).toMatch(
    /^mydocker-oci version \S+\ncommit: \S+\nspec: 1\.3\.0$/,
  );
});

leavesNothingBehind(engine);
