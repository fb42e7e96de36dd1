/** create, start, state, kill, delete, exec, ps, list, pause, resume, run: runtime-spec's runtime.md, and runc's calls. */

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { OciRuntime } from "../helpers/oci_runtime.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();
const oci = new OciRuntime(engine);
const output = (bundle: string) => readFileSync(join(bundle, "output"), "utf8");

/** Waits until a container's output matches. */
const outputOf = (bundle: string, pattern: RegExp) =>
  waitFor(
    () => `${pattern} in ${output(bundle)}`,
    () => (pattern.test(output(bundle)) ? output(bundle) : undefined),
  );

const untilStatus = (id: string, status: string) =>
  waitFor(
    () => `${id} is ${status}`,
    async () => ((await oci.state(id)).status === status ? true : undefined),
  );

describe("create and start", () => {
  test("the process waits for start, and is what config.json says", async () => {
    const bundle = oci.bundle(
      ["sh", "-c", "echo $$ $GREETING; hostname; pwd; id -u; sleep 100"],
      (config) => {
        config.process.env.push("GREETING=a b");
        config.process.cwd = "/made/by/us";
        config.annotations = { "org.example.key": "value" };
      },
    );
    const pidFile = join(bundle, "pid");
    expect(await oci.create("c1", bundle, "--pid-file", pidFile)).toMatchObject({ exitCode: 0 });
    const pid = readFileSync(pidFile, "utf8");
    expect(pid).toMatch(/^\d+$/); // without a newline
    const created = await oci.state("c1");
    expect(created).toEqual({
      ociVersion: "1.0.2",
      id: "c1",
      pid: Number(pid),
      status: "created",
      bundle,
      rootfs: join(bundle, "rootfs"),
      created: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/),
      annotations: { "org.example.key": "value" },
      owner: "root",
    });
    expect(output(bundle)).toBe("");
    expect(await oci.call(["start", "c1"])).toMatchObject({ exitCode: 0, out: "", err: "" });
    expect(await outputOf(bundle, /\n0\n$/)).toBe("1 a b\noci\n/made/by/us\n0\n");
    expect((await oci.state("c1")).status).toBe("running");
    expect(existsSync(join(oci.root, "c1/start.sock"))).toBe(false);
    await oci.call(["kill", "c1", "KILL"]);
    await untilStatus("c1", "stopped");
    expect((await oci.state("c1")).pid).toBe(0);
    expect(await oci.call(["delete", "c1"])).toMatchObject({ exitCode: 0 });
    expect(existsSync(join(oci.root, "c1"))).toBe(false);
  });

  test("an id that is taken is refused, and the container is left alone", async () => {
    const bundle = oci.bundle(["sleep", "100"]);
    await oci.create("taken", bundle);
    const again = await oci.create("taken", bundle);
    expect(again.exitCode).toBe(1);
    expect(again.err).toContain("container with given ID already exists: taken");
    expect((await oci.state("taken")).status).toBe("created");
    await oci.remove("taken");
  });

  test.each(["", "a/b", "..", "a b", "x".repeat(1025)])("%p is no id", async (id) => {
    const { exitCode, err } = await oci.create(id, oci.bundle(["true"]));
    expect(exitCode).toBe(1);
    expect(err).toMatch(/container id cannot be empty|invalid container ID format/);
  });

  test.each([
    ["nowhere", 'exec: "nowhere": executable file not found in $PATH'],
    ["/nowhere", "exec /nowhere: no such file or directory"],
    ["/bin/", "exec /bin/: permission denied: is a directory"],
  ])(
    "a command that cannot be run, %p, is said by create, and nothing is left",
    async (command, message) => {
      const { exitCode, err } = await oci.create("none", oci.bundle([command]));
      expect(exitCode).toBe(1);
      const line = JSON.parse(err);
      expect(line).toMatchObject({ level: "error", time: expect.any(String) });
      expect(line.msg).toContain(message);
      expect((await oci.call(["state", "none"])).err).toContain("does not exist");
      expect(readdirSync(oci.root)).not.toContain("none");
    },
  );

  test("start works once", async () => {
    const bundle = oci.bundle(["sleep", "100"]);
    await oci.start("once", bundle);
    expect((await oci.call(["start", "once"])).err).toContain(
      "cannot start an already running container",
    );
    await oci.call(["kill", "once", "9"]);
    await untilStatus("once", "stopped");
    expect((await oci.call(["start", "once"])).err).toContain(
      "cannot start a container that has stopped",
    );
    await oci.remove("once");
  });

  test("of ten starts at once one executes the command", async () => {
    const bundle = oci.bundle(["sh", "-c", "echo started; sleep 100"]);
    await oci.create("race", bundle);
    const results = await Promise.all(
      Array.from({ length: 10 }, () => oci.call(["start", "race"])),
    );
    expect(results.filter(({ exitCode }) => exitCode === 0)).toHaveLength(1);
    expect(await outputOf(bundle, /started/)).toBe("started\n");
    await oci.remove("race");
  });

  test("a created container is deleted with its process, as clients of runc rely on", async () => {
    const bundle = oci.bundle(["sleep", "100"]);
    await oci.create("unstarted", bundle);
    const { pid } = await oci.state("unstarted");
    expect(await oci.call(["delete", "unstarted"])).toMatchObject({ exitCode: 0, err: "" });
    expect(existsSync(`/proc/${pid}`) && /State:\s+[^Z]/.test(status(pid))).toBe(false);
    expect((await oci.call(["state", "unstarted"])).err).toContain("does not exist");
  });

  const status = (pid: number) => readFileSync(`/proc/${pid}/status`, "utf8");

  test("a running container is deleted with --force only", async () => {
    const bundle = oci.bundle(["sleep", "100"]);
    await oci.start("busy", bundle);
    const { exitCode, err } = await oci.call(["delete", "busy"]);
    expect(exitCode).toBe(1);
    expect(err).toContain("cannot delete container busy that is not stopped: running");
    expect(await oci.call(["delete", "--force", "busy"])).toMatchObject({ exitCode: 0 });
    expect(await oci.call(["delete", "--force", "busy"])).toMatchObject({ exitCode: 0, err: "" });
    expect((await oci.call(["delete", "busy"])).err).toContain("container does not exist: busy");
  });

  test("create that is killed at any moment leaves what delete --force removes", async () => {
    const bundle = oci.bundle(["sleep", "100"]);
    for (let after = 4; after < 40; after += 4) {
      await engine.bash(
        `"$@" </dev/null >/dev/null 2>&1 & sleep 0.0$0; kill -9 $!`.replace(
          "$0",
          String(after).padStart(2, "0"),
        ),
        {
          args: [oci.runtime, "--root", oci.root, "create", "--bundle", bundle, "killed"],
        },
      );
      expect(await oci.call(["delete", "--force", "killed"])).toMatchObject({
        exitCode: 0,
        err: "",
      });
      expect(existsSync(join(oci.root, "killed"))).toBe(false);
    }
  });
});

describe("kill", () => {
  test("takes names and numbers, and TERM by default", async () => {
    const script =
      "trap 'echo term' TERM; trap 'echo usr1' USR1; trap 'echo int' INT; echo ready; while :; do sleep 0.05; done";
    const bundle = oci.bundle(["sh", "-c", script]);
    await oci.start("signals", bundle);
    await outputOf(bundle, /ready/);
    for (const [args, said] of [
      [["signals"], /term\n$/],
      [["signals", "SIGUSR1"], /usr1\n$/],
      [["signals", "int"], /int\n$/],
      [["signals", "15"], /int\nterm\n$/],
    ] as const) {
      expect(await oci.call(["kill", ...args])).toMatchObject({ exitCode: 0 });
      await outputOf(bundle, said);
    }
    expect((await oci.call(["kill", "signals", "NOSUCH"])).exitCode).not.toBe(0);
    await oci.call(["kill", "--all", "signals", "9"]);
    await untilStatus("signals", "stopped");
    const late = await oci.call(["kill", "signals", "9"]);
    expect(late.exitCode).toBe(1);
    expect(late.err).toContain("container not running");
    await oci.remove("signals");
  });

  test("spares a stranger that has the pid by now", async () => {
    const bundle = oci.bundle(["sleep", "100"]);
    await oci.start("forged", bundle);
    const path = join(oci.root, "forged/state.json");
    const record = JSON.parse(readFileSync(path, "utf8"));
    await oci.call(["kill", "forged", "9"]);
    await untilStatus("forged", "stopped");
    await using stranger = Bun.spawn(["sleep", "1000"]);
    await Bun.write(
      path,
      JSON.stringify({ ...record, init: { ...record.init, pid: stranger.pid } }),
    );
    expect((await oci.state("forged")).status).toBe("stopped");
    expect((await oci.call(["kill", "forged", "9"])).err).toContain("container not running");
    await oci.remove("forged");
    expect(stranger.exitCode).toBeNull();
    stranger.kill();
  });
});

describe("exec", () => {
  test("joins every namespace, the cgroup and the root", async () => {
    const bundle = oci.bundle(["sleep", "100"]);
    await oci.start("joined", bundle);
    const look = "readlink /proc/$$/ns/*; cat /proc/$$/cgroup; hostname; cat /proc/$$/mountinfo";
    const inside = await oci.call(["exec", "joined", "sh", "-c", look]);
    const first = await oci.call(["exec", "joined", "sh", "-c", look.replaceAll("$$", "1")]);
    expect(inside.exitCode).toBe(0);
    expect(inside.out).toBe(first.out);
    await oci.remove("joined");
  });

  // The JavaScript runtime starts threads when it likes, and setns(2) wants none.
  test.each([
    ["a pid and a mount namespace", ["pid", "mount"]],
    ["a user and a time namespace", ["pid", "mount", "user", "time"]],
  ])("works every time in %s", async (_, types) => {
    const bundle = oci.bundle(["sleep", "100"], (config) => {
      delete config.hostname;
      config.mounts = config.mounts.slice(0, 2);
      config.linux.namespaces = types.map((type) => ({ type }));
      if (!types.includes("user")) return;
      const mappings = [{ containerID: 0, hostID: 0, size: 65536 }];
      Object.assign(config.linux, { uidMappings: mappings, gidMappings: mappings });
    });
    await oci.start("often", bundle);
    for (let count = 0; count < 15; count++) {
      const result = await oci.call(["exec", "often", "echo", "in"]);
      expect(result).toMatchObject({ exitCode: 0, out: "in", err: "" });
    }
    await oci.remove("often");
  });

  test("ends as the process ends, and with 255 when it cannot be started", async () => {
    const bundle = oci.bundle(["sleep", "100"]);
    await oci.start("codes", bundle);
    const code = async (...command: string[]) =>
      (await oci.call(["exec", "codes", ...command])).exitCode;
    expect(await code("true")).toBe(0);
    expect(await code("sh", "-c", "exit 42")).toBe(42);
    expect(await code("sh", "-c", "kill -TERM $$")).toBe(143);
    const missing = await oci.call(["exec", "codes", "nowhere"]);
    expect(missing.exitCode).toBe(255);
    expect(missing.err).toContain("executable file not found in $PATH");
    await oci.remove("codes");
    expect((await oci.call(["exec", "codes", "true"])).err).toContain("does not exist");
  });

  test("takes a process from a file, or options", async () => {
    const bundle = oci.bundle(["sleep", "100"], (config) => {
      config.process.noNewPrivileges = false;
      // The detached process will be this process's child, which does not wait for it, and the end
      // of a pid namespace waits for that.
      config.linux.namespaces = config.linux.namespaces.filter(
        ({ type }: { type: string }) => type !== "pid",
      );
    });
    await oci.start("described", bundle);
    const file = join(bundle, "process.json");
    const show = "id -u; id -g; pwd; echo $A; grep -E 'CapEff|NoNewPrivs' /proc/self/status";
    await Bun.write(
      file,
      JSON.stringify({
        args: ["sh", "-c", show],
        cwd: "/tmp",
        env: ["PATH=/bin", "A=b c"],
        user: { uid: 1000, gid: 1000 },
      }),
    );
    const byFile = await oci.call(["exec", "--process", file, "described"]);
    expect(byFile.out).toBe("1000\n1000\n/tmp\nb c\nCapEff:\t0000000000000000\nNoNewPrivs:\t0");
    const options = [
      "-u",
      "0:5",
      "--cwd",
      "/etc",
      "-e",
      "A=x",
      "--cap",
      "CAP_NET_RAW",
      "--no-new-privs",
    ];
    const byOptions = await oci.call(["exec", ...options, "described", "sh", "-c", show]);
    expect(byOptions.out).toMatch(/^0\n5\n\/etc\nx\nCapEff:\t[0-9a-f]+\nNoNewPrivs:\t1$/);
    const pidFile = join(bundle, "exec-pid");
    const script = `"$@" </dev/null >/dev/null 2>&1`;
    const detach = ["exec", "--detach", "--pid-file", pidFile, "described", "sleep", "77"];
    await engine.bash(script, { args: [oci.runtime, "--root", oci.root, ...detach] });
    const pid = Number(readFileSync(pidFile, "utf8"));
    expect(JSON.parse((await oci.call(["ps", "--format", "json", "described"])).out)).toContain(
      pid,
    );
    const table = (await oci.call(["ps", "described"])).out;
    expect(table).toMatch(/PID/);
    expect(table).toContain("sleep 77");
    expect(statSync(pidFile).size).toBe(String(pid).length);
    await oci.remove("described");
  });
});

describe("pause and resume", () => {
  test("stop everything, and let it go on", async () => {
    const bundle = oci.bundle(["sh", "-c", "while :; do echo tick; sleep 0.02; done"]);
    await oci.start("paused", bundle);
    await outputOf(bundle, /tick/);
    expect(await oci.call(["pause", "paused"])).toMatchObject({ exitCode: 0 });
    expect((await oci.state("paused")).status).toBe("paused");
    const before = output(bundle).length;
    await Bun.sleep(100);
    expect(output(bundle)).toHaveLength(before);
    expect((await oci.call(["exec", "paused", "true"])).err).toContain("paused");
    expect(await oci.call(["resume", "paused"])).toMatchObject({ exitCode: 0 });
    await waitFor(
      () => "more output",
      () => (output(bundle).length > before ? true : undefined),
    );
    await oci.call(["pause", "paused"]);
    expect(await oci.call(["delete", "--force", "paused"])).toMatchObject({ exitCode: 0 });
  });
});

describe("list", () => {
  test("shows all, also beside a damaged one", async () => {
    const bundle = oci.bundle(["sleep", "100"]);
    await oci.create("one", bundle);
    const second = oci.bundle(["sleep", "100"]);
    await oci.create("two", second);
    const ids = async () =>
      JSON.parse((await oci.call(["list", "--format", "json"])).out).map(
        ({ id }: { id: string }) => id,
      );
    expect(await ids()).toEqual(["one", "two"]);
    expect((await oci.call(["list", "-q"])).out).toBe("one\ntwo");
    expect((await oci.call(["list"])).out).toMatch(
      /^ID +PID +STATUS +BUNDLE +CREATED +OWNER\none +\d+ +created/,
    );
    const state = join(oci.root, "two/state.json");
    const good = readFileSync(state, "utf8");
    await Bun.write(state, "{");
    expect(await ids()).toEqual(["one"]);
    expect((await oci.call(["list"])).err).toContain("two/state.json is damaged");
    await Bun.write(state, good);
    for (const id of ["one", "two"]) await oci.remove(id);
  });
});

describe("run", () => {
  test("gives the process's exit code, and deletes the container", async () => {
    expect(await oci.sh("echo out; echo err >&2; exit 3")).toMatchObject({
      exitCode: 3,
      out: "out",
      err: "err",
    });
    expect(readdirSync(oci.root)).toEqual([]);
  });

  test("reads the caller's standard input", async () => {
    expect((await oci.run(["cat"], undefined, { stdin: "a\0b\n" })).out).toBe("a\0b");
  });

  test("keeps the container with --keep, and runs it behind us with --detach", async () => {
    const bundle = oci.bundle(["true"]);
    expect(await oci.call(["run", "--keep", "--bundle", bundle, "kept"])).toMatchObject({
      exitCode: 0,
    });
    expect((await oci.state("kept")).status).toBe("stopped");
    await oci.remove("kept");
    const behind = oci.bundle(["sh", "-c", "echo here; sleep 100"]);
    expect(await oci.runDetached("behind", behind)).toMatchObject({ exitCode: 0 });
    await outputOf(behind, /here/);
    expect((await oci.state("behind")).status).toBe("running");
    await oci.remove("behind");
  });

  test("passes signals on", async () => {
    const bundle = oci.bundle([
      "sh",
      "-c",
      "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done",
    ]);
    const running = await engine.bash(
      `"$@" >"$0.out" & pid=$!; until grep -q ready "$0.out" 2>/dev/null; do sleep 0.05; done; kill -TERM $pid; wait $pid`.replaceAll(
        "$0",
        join(bundle, "x"),
      ),
      { args: [oci.runtime, "--root", oci.root, "run", "--bundle", bundle, "term"] },
    );
    expect(running.exitCode).toBe(9);
  });

  test("passes descriptors on when told to, and no others", async () => {
    const bundle = oci.bundle(["sh", "-c", "ls /proc/self/fd | tr '\\n' ' '; cat <&4"]);
    const script = `echo four >"$0"; exec 3</dev/null 4<"$0" 5</dev/null; "$@"`.replaceAll(
      "$0",
      join(bundle, "four"),
    );
    const call = (n: string) =>
      engine.bash(script, {
        args: [
          oci.runtime,
          "--root",
          oci.root,
          "run",
          "--preserve-fds",
          n,
          "--bundle",
          bundle,
          "fds",
        ],
      });
    expect((await call("2")).out).toBe("0 1 2 3 4 5 four"); // 5 is the directory that ls reads
    expect((await call("0")).out).toMatch(/^0 1 2 3 /);
  });
});

leavesNothingBehind(engine);
