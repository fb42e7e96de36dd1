/** Podman with mydocker as its OCI runtime: each call is made with runc, too, and what it gives compared. */

import { afterAll, describe, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { cgroupsBelow, RUNTIMES } from "../helpers/daemon.ts";
import { crunWorks, IMAGE, type Outcome, Podman } from "../helpers/podman.ts";
import { program, type Requirement, root, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const requirements: Requirement[] = [
  root(),
  ...["podman", "conmon", "runc"].map((name) => program(name)),
];
const isComplete = requirements.every((requirement) => requirement === undefined);

const engine = useEngine({
  before: async () => {
    if (!isComplete) return;
    const all = crun === undefined ? [ours, theirs, other] : [ours, theirs];
    await Promise.all(all.map((podman) => podman.start()));
  },
});
const ours = new Podman(engine, "mydocker", RUNTIMES.mydocker);
const theirs = new Podman(engine, "runc", RUNTIMES.runc);
const other = new Podman(engine, "crun", Bun.which("crun") ?? "crun");
const crun = isComplete ? crunWorks(engine) : "Podman is not complete";
afterAll(async () => {
  await Promise.all([ours, theirs, other].map((podman) => podman.stop()));
});

/** Does the same with both. @returns what it gave with mydocker, once that is what runc gives */
async function same<T>(act: (podman: Podman) => Promise<T>): Promise<T> {
  const [result, expected] = await Promise.all([act(ours), act(theirs)]);
  expect(result).toEqual(expected);
  return result;
}

const RUN = ["run", "--rm", "--network", "none"];
const DETACHED = ["run", "--detach", "--network", "none"];

/** `podman run` of a shell script; both streams together, as a person sees them. */
const sh = (script: string, ...options: string[]) =>
  same((podman) => podman.outcome([...RUN, ...options, IMAGE, "sh", "-c", `exec 2>&1; ${script}`]));

describe("podman run", () => {
  testIf(requirements, "is with the runtime that is named", async () => {
    await ours.succeed([...DETACHED, "--name", "named", IMAGE, "sleep", "1000"]);
    expect(await ours.inspect("named", "{{.OCIRuntime}}")).toBe(ours.runtime);
    const pid = await ours.inspect("named", "{{.State.Pid}}");
    expect(readFileSync(`/proc/${pid}/cmdline`, "latin1")).toBe("sleep\x001000\x00");
    const cgroup = /:memory:(.*)$|^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"));
    const path = cgroup?.[1] ?? cgroup?.[2] ?? "";
    expect(path).toContain("/libpod_parent/libpod-");
    expect(cgroupsBelow(`${path}/..`).some((found) => found.endsWith(basename(path)))).toBe(true);
    expect(ours.records()).toHaveLength(1);
    await ours.succeed(["rm", "--force", "--time", "0", "named"]);
    expect(cgroupsBelow(`${path}/..`).filter((found) => found.endsWith(basename(path)))).toEqual(
      [],
    );
  });

  testIf(requirements, "keeps the streams apart, and gives the exit code", async () => {
    const args = [...RUN, IMAGE, "sh", "-c", "echo out; echo err >&2; exit 7"];
    expect(await same((podman) => podman.outcome(args))).toEqual({
      exitCode: 7,
      out: "out",
      err: "err",
    });
  });

  testIf(requirements, "reads standard input", async () => {
    const args = [...RUN, "--interactive", IMAGE, "wc", "-c"];
    expect(await same((podman) => podman.outcome(args, { stdin: "12345" }))).toEqual({
      exitCode: 0,
      out: "5",
      err: "",
    });
  });

  testIf(requirements, "tells a command that is missing from one that cannot be run", async () => {
    for (const [command, exitCode] of [
      ["/nowhere", 127],
      ["nowhere", 127],
      ["/etc", 126],
      ["/etc/passwd", 126],
    ] as const) {
      const result = await same(async (podman) => {
        const { exitCode: code, out } = await podman.outcome([...RUN, IMAGE, command]);
        return { code, out };
      });
      expect(result).toEqual({ code: exitCode, out: "" });
    }
  });

  testIf(requirements, "gives user, groups, environment, directory and host name", async () => {
    const { out } = await sh(
      "pwd; id -u; id -g; id -G; echo $A; hostname",
      ...["--user", "1000:1001", "--group-add", "5", "--workdir", "/tmp", "--env", "A=b c"],
      ...["--hostname", "box"],
    );
    expect(out.split("\n")).toEqual(["/tmp", "1000", "1001", "1001 5", "b c", "box"]);
  });

  testIf(requirements, "gives the same privileges", async () => {
    const look = "grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status";
    expect((await sh(look)).out).toMatch(/CapBnd:.*\n.*\nNoNewPrivs:\t0\nSeccomp:\t2$/);
    await sh(look, "--cap-drop", "all", "--cap-add", "CHOWN", "--user", "1000");
    await sh(look, "--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined");
    await sh(`${look}; ls /dev | sort; ls /proc/sys | sort`, "--privileged");
    await sh(
      "for f in /proc/kcore /proc/keys /proc/sysrq-trigger; do wc -c <$f; done; ls /sys/firmware",
    );
  });

  testIf(requirements, "mounts the same", async () => {
    const { out } = await sh(
      "mount | cut -d' ' -f3- | grep -vE '^/(proc|sys)/' | sort; echo x >/file; touch /host/x; echo y >/small/y; cat /small/y",
      ...["--read-only", "--volume", `${engine.directory("volume")}:/host:ro`],
      ...["--tmpfs", "/small:size=1m,mode=700", "--device", "/dev/fuse"],
    );
    expect(out).toContain("can't create /file: Read-only file system");
    expect(out).toMatch(/\/host type \w+ \(ro,/);
    expect(out).toEndWith("\ny");
  });

  testIf(requirements, "limits memory, processes and processors", async () => {
    const { out } = await sh(
      "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.shares || cat memory.max pids.max cpu.max cpu.weight",
      ...["--memory", "64m", "--pids-limit", "50", "--cpus", "0.5", "--cpu-shares", "512"],
    );
    expect(out).toStartWith("67108864\n50\n50000");
  });

  testIf(requirements, "gives a terminal", async () => {
    const { out, exitCode } = await sh("tty; stty size; exit 3", "--tty");
    expect(out.split(/\r?\n/)[0]).toBe("/dev/pts/0");
    expect(exitCode).toBe(3);
  });

  testIf(requirements, "passes a person's terminal on: keys, size, Ctrl-C", async () => {
    const script = "trap 'echo caught' INT; echo ready; while :; do read -r line; $line; done";
    const seen = await same(async (podman) => {
      const args = [...RUN, "--interactive", "--tty", IMAGE, "sh", "-c", script];
      const session = podman.onTerminal(args);
      await session.waitForOutput(/ready/);
      // The size is on its way when the container runs already.
      const sized = (size: RegExp) =>
        waitFor(`${size} in ${session.output()}`, async () => {
          session.type("stty size\n");
          await Bun.sleep(200);
          return size.test(session.output());
        });
      await sized(/\b30 100\b/);
      session.resize(120, 40);
      await sized(/\b40 120\b/);
      session.type("\x03");
      await session.waitForOutput(/caught/);
      session.type("exit 6\n");
      return (await session.end()).exitCode;
    });
    expect(seen).toBe(6);
  });

  testIf(requirements, "has an init as its first process", async () => {
    const { out } = await sh("cat /proc/1/comm", "--init");
    expect(out).toMatch(/init/);
  });
});

describe("a container in the background", () => {
  testIf(requirements, "is logged, entered, stopped, started again and removed", async () => {
    const script = 'echo started; trap "echo stopping; exit 3" TERM; while :; do sleep 0.05; done';
    const steps = await same(async (podman) => {
      const seen: Record<string, Outcome | string> = {};
      const step = async (name: string, ...args: string[]) => {
        seen[name] = await podman.outcome(args);
      };
      const status = () => podman.inspect("bg", "{{.State.Status}} {{.State.ExitCode}}");
      await step("run", ...DETACHED, "--name", "bg", IMAGE, "sh", "-c", script);
      await podman.untilLogged("bg", /started/);
      await step("exec", "exec", "bg", "sh", "-c", "echo in; echo err >&2; exit 5");
      await step("terminal", "exec", "--tty", "bg", "tty");
      await step(
        "user",
        ...["exec", "--user", "1000", "--workdir", "/tmp", "--env", "X=y", "bg"],
        ...["sh", "-c", "id -u; pwd; echo $X; grep -q libpod /proc/self/cgroup && echo joined"],
      );
      for (const command of ["/nowhere", "/etc"]) {
        const { exitCode } = await podman.outcome(["exec", "bg", command]);
        seen[`exec ${command}`] = String(exitCode);
      }
      await step("detached", "exec", "--detach", "bg", "sh", "-c", "echo left >/tmp/left");
      await waitFor("the detached exec", async () => {
        const { exitCode } = await podman.outcome([
          "exec",
          "bg",
          "grep",
          "-q",
          "left",
          "/tmp/left",
        ]);
        return exitCode === 0;
      });
      await step("stop", "stop", "bg");
      seen["stopped"] = await status();
      await step("logs", "logs", "bg");
      await step("start", "start", "bg");
      await waitFor("the second start", async () => {
        const { out } = await podman.outcome(["logs", "bg"]);
        return out.split("started").length === 3;
      });
      await step("kill", "kill", "--signal", "KILL", "bg");
      await step("wait", "wait", "bg");
      seen["killed"] = await status();
      await step("rm", "rm", "bg");
      await step("gone", "exec", "bg", "true");
      return seen;
    });
    expect(steps).toMatchObject({
      exec: { exitCode: 5, out: "in", err: expect.stringMatching(/^err/) },
      terminal: { exitCode: 0, out: "/dev/pts/0" },
      user: { exitCode: 0, out: expect.stringMatching(/^1000\n\/tmp\ny\njoined$/) },
      "exec /nowhere": "127",
      "exec /etc": "126",
      stopped: "exited 3",
      logs: { out: "started\nstopping" },
      wait: { out: "137" },
      killed: "exited 137",
    });
  });

  testIf(requirements, "is paused and goes on", async () => {
    const steps = await same(async (podman) => {
      await podman.succeed([...DETACHED, "--name", "paused", IMAGE, "sleep", "1000"]);
      const pause = await podman.outcome(["pause", "paused"]);
      const status = await podman.inspect("paused", "{{.State.Status}}");
      const exec = await podman.outcome(["exec", "paused", "true"]);
      const unpause = await podman.outcome(["unpause", "paused"]);
      const after = await podman.outcome(["exec", "paused", "echo", "goes on"]);
      await podman.succeed(["rm", "--force", "--time", "0", "paused"]);
      return { pause, status, exec: exec.exitCode, unpause, after };
    });
    expect(steps).toMatchObject({ status: "paused", after: { out: "goes on" } });
    expect(steps.exec).not.toBe(0);
  });

  testIf(requirements, "is initialized before it is started", async () => {
    const steps = await same(async (podman) => {
      const args = ["create", "--name", "early", "--network", "none", IMAGE];
      await podman.succeed([...args, "sh", "-c", "echo ran; exit 9"]);
      const init = await podman.outcome(["init", "early"]);
      const status = await podman.inspect("early", "{{.State.Status}}");
      const start = await podman.outcome(["start", "--attach", "early"]);
      await podman.succeed(["rm", "early"]);
      await podman.succeed([...args, "sleep", "1000"]);
      await podman.succeed(["init", "early"]);
      const rm = await podman.outcome(["rm", "early"]);
      return { init, status, start, rm };
    });
    expect(steps).toMatchObject({ status: "initialized", start: { exitCode: 9, out: "ran" } });
  });

  testIf(requirements, "is updated, and its processes are shown", async () => {
    const steps = await same(async (podman) => {
      await podman.succeed([...DETACHED, "--name", "updated", IMAGE, "sleep", "1000"]);
      const update = await podman.outcome([
        "update",
        "--memory",
        "50m",
        "--cpus",
        "0.5",
        "updated",
      ]);
      const limit = await podman.outcome([
        ...["exec", "updated", "sh", "-c"],
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max 2>/dev/null",
      ]);
      const top = await podman.outcome(["top", "updated", "pid", "args"]);
      const pids = await podman.outcome([
        "stats",
        "--no-stream",
        "--format",
        "{{.PIDs}}",
        "updated",
      ]);
      await podman.succeed(["rm", "--force", "--time", "0", "updated"]);
      return { update, limit, top, pids };
    });
    expect(steps).toMatchObject({
      update: { exitCode: 0 },
      limit: { out: "52428800" },
      top: { out: expect.stringMatching(/\n1 +sleep 1000$/) },
      pids: { out: "1" },
    });
  });

  testIf(requirements, "has its health checked", async () => {
    const steps = await same(async (podman) => {
      const health = ["--health-cmd", "test -e /tmp/well", "--health-interval", "disable"];
      const name = ["--name", "checked", "--health-retries", "1"];
      await podman.succeed([...DETACHED, ...name, ...health, IMAGE, "sleep", "1000"]);
      const ill = await podman.outcome(["healthcheck", "run", "checked"]);
      const before = await podman.inspect("checked", "{{.State.Health.Status}}");
      await podman.succeed(["exec", "checked", "touch", "/tmp/well"]);
      const well = await podman.outcome(["healthcheck", "run", "checked"]);
      const after = await podman.inspect("checked", "{{.State.Health.Status}}");
      await podman.succeed(["rm", "--force", "--time", "0", "checked"]);
      return { ill, before, well, after };
    });
    expect(steps).toMatchObject({
      ill: { exitCode: 1 },
      before: "unhealthy",
      well: { exitCode: 0 },
      after: "healthy",
    });
  });
});

testIf([...requirements, crun], "crun gives the same", async () => {
  for (const args of [
    [...RUN, IMAGE, "sh", "-c", "echo out; id; exit 7"],
    [...RUN, "--user", "1000", IMAGE, "grep", "-E", "^(Cap|NoNew|Seccomp:)", "/proc/self/status"],
    [...RUN, "--tty", IMAGE, "tty"],
  ]) {
    expect(await ours.outcome(args)).toEqual(await other.outcome(args));
  }
});

testIf(requirements, "no container is left in the runtime", () => {
  expect(ours.records()).toEqual([]);
});

leavesNothingBehind(engine);
