/** containerd with mydocker as its OCI runtime: each call is made with runc, too, and what it gives compared. */

import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { outcome, withBoth } from "../helpers/beside_runc.ts";
import { type Result, useEngine } from "../helpers/cli.ts";
import { Containerd, IMAGE } from "../helpers/containerd.ts";
import { processesOf, RUNTIMES, type RuntimeName } from "../helpers/daemon.ts";
import { descendants } from "../helpers/leaks.ts";
import { program, type Requirement, root, testIf } from "../helpers/requires.ts";
import { spawnOnTerminal } from "../helpers/terminal.ts";
import { waitFor } from "../helpers/wait.ts";

const requirements: Requirement[] = [root(), program("containerd"), program("ctr")];
const compared = [...requirements, program("runc")];
const isComplete = requirements.every((requirement) => requirement === undefined);

const engine = useEngine({
  before: async () => {
    if (isComplete) await containerd.start();
  },
});
const containerd = new Containerd(engine);
afterAll(() => containerd.stop());

let count = 0;
const newId = () => `c${++count}`;

interface Call {
  readonly options?: readonly string[];
  readonly stdin?: string;
}

/** ctr gives up on output that it has not begun to read when the process has ended. */
const SLOW_END = "trap 'code=$?; sleep 0.1; exit $code' EXIT; ";

/** `ctr run --rm` to its end. A container that failed to start is taken away, which ctr does not do. */
async function run(
  runtime: RuntimeName,
  command: readonly string[],
  call: Call = {},
): Promise<Result> {
  const id = newId();
  const { options = [], stdin } = call;
  const [program, flag, script] = command;
  const isScript = program === "sh" && flag === "-c";
  const slowly = isScript ? [program, flag, SLOW_END + script, ...command.slice(3)] : command;
  const result = await containerd.ctr(
    ["run", "--rm", ...containerd.runtime(runtime), ...options, IMAGE, id, ...slowly],
    stdin === undefined ? {} : { stdin },
  );
  if (result.err.includes("OCI runtime")) await containerd.remove(id);
  return result;
}

/** Containers that are there: what a test that fails leaves is not the next one's. */
const left = new Set<string>();
afterEach(async () => {
  for (const id of left) await containerd.remove(id);
  left.clear();
});

/** `ctr run --detach` of something that does not end by itself. @returns its id */
async function detached(runtime: RuntimeName, command: readonly string[]): Promise<string> {
  const id = newId();
  const { exitCode, err } = await containerd.ctr([
    "run",
    "--detach",
    ...containerd.runtime(runtime),
    IMAGE,
    id,
    ...command,
  ]);
  if (exitCode !== 0) throw new Error(`ctr run --detach with ${runtime}: ${err}`);
  left.add(id);
  return id;
}

/** `ctr task exec` to its end. */
function exec(id: string, command: readonly string[], call: Call = {}): Promise<Result> {
  const { options = [], stdin } = call;
  const execId = newId();
  const fifos = engine.directory("fifo");
  return containerd.ctr(
    ["task", "exec", "--exec-id", execId, "--fifo-dir", fifos, ...options, id, ...command],
    stdin === undefined ? {} : { stdin },
  );
}

const IDLE = ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"];

describe("ctr run", () => {
  const endings: [name: string, command: string[], exitCode: number][] = [
    ["0", ["true"], 0],
    ["1", ["false"], 1],
    ["255", ["sh", "-c", "exit 255"], 255],
    ["its output", ["sh", "-c", "echo out; echo err >&2; exit 42"], 42],
    ["a SIGKILL from inside, which it never gets", ["sh", "-c", "kill -9 1; exit 4"], 4],
    ["nothing of that name", ["no-such-program"], 1],
    ["no such file", ["/no/such/program"], 1],
    ["a file that is not executable", ["/etc/passwd"], 1],
    ["a directory", ["/etc"], 1],
  ];
  for (const [name, command, exitCode] of endings) {
    testIf(compared, `ends as with runc: ${name}`, async () => {
      const ended = await withBoth(async (runtime) => outcome(await run(runtime, command)));
      expect(ended.exitCode).toBe(exitCode);
    });
  }

  testIf(requirements, "hands on exit codes, output and errors", async () => {
    const result = await run("mydocker", ["sh", "-c", "echo out; echo err >&2; exit 42"]);
    expect([result.exitCode, result.out]).toEqual([42, "out"]);
    expect(result.err).toContain("err");
    const missing = await run("mydocker", ["no-such-program"]);
    expect(missing.err).toMatch(
      /OCI runtime create failed: .*"no-such-program": executable file not found in \$PATH/,
    );
  });

  testIf(
    requirements,
    "refuses what cannot be executed when it is created, not when it is started",
    async () => {
      const { err } = await run("mydocker", ["/etc/passwd"]);
      expect(err).toMatch(/OCI runtime create failed: exec \/etc\/passwd: permission denied/);
    },
  );

  testIf(compared, "gives a process what runc gives it", async () => {
    const status =
      "^(Umask|Uid|Gid|Groups|SigPnd|ShdPnd|SigBlk|SigIgn|SigCgt|Cap|NoNewPrivs|Seccomp)";
    const script = [
      `grep -E '${status}' /proc/self/status`,
      "cat /proc/self/limits /proc/self/oom_score_adj",
      "env; pwd; id; hostname; cat /proc/sys/kernel/domainname",
      "ls -ln /dev | cut -c1-11,34-44,58-",
      "for fd in /proc/$$/fd/*; do echo ${fd##*/}; done",
      "stat -c '%u %g %a' /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2",
    ].join("; ");
    const { out } = await withBoth(async (runtime) =>
      outcome(await run(runtime, ["sh", "-c", script])),
    );
    expect(out).toContain("CapEff:\t00000000a80425fb");
  });

  testIf(compared, "mounts what runc mounts", async () => {
    // Masked files are a device of the host's or of the container's, masked directories a tmpfs.
    const script =
      "grep -vE 'proc/(keys|timer_list|acpi|scsi|latency|sched)|/firmware' /proc/self/mountinfo";
    await withBoth(async (runtime) => {
      const { out } = await run(runtime, ["sh", "-c", script]);
      return out.split("\n").map((line) => {
        const [left = "", right = ""] = line.split(" - ");
        const [type, source, options = ""] = right.split(" ");
        const where = left.split(" ").slice(3).join(" ");
        return `${where} ${type} ${source} ${options.replace(/(lower|upper|work)dir=[^,]*,?/g, "")}`;
      });
    });
  });

  const flags: [name: string, options: string[], script: string][] = [
    ["--read-only", ["--read-only"], "touch /file"],
    ["--cwd, made when it is missing", ["--cwd", "/new/folder"], "pwd; stat -c '%u %a' ."],
    ["--env", ["--env", "A=b c"], "env | sort"],
    ["--privileged", ["--privileged"], "grep Cap /proc/self/status; ls -d /dev/mem"],
    ["--seccomp", ["--seccomp"], "grep Seccomp: /proc/self/status; unshare -U true"],
    ["--allow-new-privs", ["--allow-new-privs"], "grep NoNewPrivs /proc/self/status"],
    ["--cap-drop", ["--cap-drop", "CAP_CHOWN"], "grep Cap /proc/self/status; chown 1 /etc/passwd"],
    ["--cap-add", ["--cap-add", "CAP_SYS_ADMIN"], "grep Cap /proc/self/status"],
    ["--device", ["--device", "/dev/fuse"], "ls -ln /dev/fuse | cut -c1-44"],
    ["--net-host", ["--net-host"], "ls /sys/class/net"],
    ["--no-pivot", ["--no-pivot"], "ls /"],
    [
      "--mount",
      ["--mount", "type=bind,src=/usr,dst=/mnt,options=rbind:ro"],
      "grep /mnt /proc/self/mountinfo | cut -d' ' -f5,6; touch /mnt/file",
    ],
    ["--memory-limit", ["--memory-limit", "33554432"], "exec tail /dev/zero"],
    [
      "a user namespace",
      ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", "--snapshotter", "native"],
      "cat /proc/self/uid_map; id; touch /file",
    ],
  ];
  for (const [name, options, script] of flags) {
    testIf(compared, `takes ${name} as runc does`, async () => {
      await withBoth(async (runtime) =>
        outcome(await run(runtime, ["sh", "-c", script], { options })),
      );
    });
  }

  testIf(requirements, "copies standard input to its end", async () => {
    const text = "x".repeat(300_000);
    const { out, exitCode } = await run("mydocker", ["wc", "-c"], { stdin: text });
    expect([out.trim(), exitCode]).toEqual(["300000", 0]);
  });

  testIf(requirements, "puts it into the cgroup that containerd names", async () => {
    const { out } = await run("mydocker", ["cat", "/proc/self/cgroup"]);
    expect(out).toMatch(new RegExp(`:(memory|):/${containerd.namespace}/c\\d+$`, "m"));
  });
});

describe("ctr task", () => {
  testIf(compared, "execs, pauses, resumes, measures, kills and deletes as with runc", async () => {
    await withBoth(async (runtime) => {
      const id = await detached(runtime, IDLE);
      const task = async (...args: string[]) => outcome(await containerd.ctr(["task", ...args]));
      const seen: unknown[] = [await containerd.status(id)];
      for (const command of [
        ["sh", "-c", "echo out; echo err >&2; exit 5"],
        ["sh", "-c", "kill -9 $$"],
        ["no-such-program"],
        ["/etc/passwd"],
        ["/etc"],
        [
          "sh",
          "-c",
          "grep -E '^(Cap|NoNewPrivs|Umask|Groups|SigIgn|SigBlk)' /proc/self/status; env; id",
        ],
      ]) {
        seen.push(outcome(await exec(id, command)));
      }
      seen.push(outcome(await exec(id, ["cat"], { stdin: "hello" })));
      seen.push(outcome(await exec(id, ["pwd"], { options: ["--cwd", "/tmp"] })));
      seen.push(outcome(await exec(id, ["id"], { options: ["--user", "www-data"] })));
      seen.push(await task("rm", id));
      seen.push(await task("pause", id), await containerd.status(id));
      seen.push((await task("pause", id)).exitCode);
      seen.push((await exec(id, ["true"])).exitCode);
      seen.push(await task("resume", id), await containerd.status(id));
      seen.push((await task("resume", id)).exitCode);
      seen.push((await containerd.ctr(["task", "ps", id])).out.split("\n").length >= 2);
      seen.push(await task("kill", id));
      await containerd.untilStatus(id, "STOPPED");
      seen.push((await task("kill", id)).exitCode, (await exec(id, ["true"])).exitCode);
      seen.push(await task("rm", id), (await task("rm", id)).exitCode);
      seen.push((await containerd.ctr(["container", "rm", id])).exitCode);
      return seen;
    });
  });

  testIf(compared, "measures what runc's container has measured of it", async () => {
    const metrics = await withBoth(async (runtime) => {
      const id = await detached(runtime, IDLE);
      const { out } = await containerd.ctr(["task", "metrics", "--format", "json", id]);
      await containerd.remove(id);
      const parsed = JSON.parse(out);
      return {
        kinds: Object.keys(parsed).sort(),
        pids: parsed.pids,
        used: parsed.memory?.usage?.usage > 0,
      };
    });
    expect(metrics.kinds).toContain("memory");
  });

  testIf(
    requirements,
    "kills a container that ignores SIGTERM, and one that is paused",
    async () => {
      for (const before of [
        ["task", "kill"],
        ["task", "pause"],
      ]) {
        const id = await detached("mydocker", [
          "sh",
          "-c",
          "trap '' TERM; while :; do sleep 0.1; done",
        ]);
        expect((await containerd.ctr([...before, id])).exitCode).toBe(0);
        const { exitCode, err } = await containerd.ctr(["task", "kill", "--signal", "SIGKILL", id]);
        expect([exitCode, err]).toEqual([0, ""]);
        await containerd.untilStatus(id, "STOPPED");
        expect((await containerd.ctr(["task", "rm", id])).err).toContain("exit code 137");
        await containerd.remove(id);
      }
    },
  );

  testIf(requirements, "execs a hundred times without one that fails", async () => {
    const id = await detached("mydocker", IDLE);
    for (let round = 0; round < 25; round++) {
      const results = await Promise.all(
        [1, 2, 3, 4].map((number) => exec(id, ["sh", "-c", `exit ${number}`])),
      );
      // Of the output ctr loses some on a busy machine, with runc, too.
      expect(results.map(({ exitCode, err }) => [exitCode, err])).toEqual(
        [1, 2, 3, 4].map((number) => [number, ""]),
      );
    }
  });

  testIf(requirements, "ends an exec that is at work when the container is killed", async () => {
    const id = await detached("mydocker", IDLE);
    const running = exec(id, ["sleep", "1000"]);
    const execs = async () => (await containerd.ctr(["task", "ps", id])).out.split("\n").length;
    await waitFor("the exec", async () => (await execs()) > 3);
    await containerd.ctr(["task", "kill", "--signal", "SIGKILL", id]);
    expect((await running).exitCode).toBe(137);
  });
});

describe("mydocker-oci exec", () => {
  const oci = (...args: string[]) =>
    engine.exec(
      [
        RUNTIMES.mydocker,
        ...["--root", join(containerd.runtimeRoot("mydocker"), containerd.namespace)],
        ...args,
      ],
      {},
    );

  testIf(requirements, "leaves no process when its terminal cannot be handed over", async () => {
    const id = await detached("mydocker", ["sleep", "1000"]);
    const socket = ["--console-socket", join(engine.folder, "no-such.sock")];
    const { err } = await oci("exec", "--detach", "--tty", ...socket, id, "sleep", "1001");
    expect(err).toMatch(/no-such.sock: .*no such file or directory/);
    const { out } = await oci("ps", "--format", "json", id);
    expect(JSON.parse(out)).toEqual([await containerd.pid(id)]);
  });

  testIf(
    requirements,
    "says that the container is not running when that ends meanwhile",
    async () => {
      for (let round = 0; round < 6; round++) {
        const id = await detached("mydocker", ["sleep", "1000"]);
        const pid = await containerd.pid(id);
        const execs = Promise.all(
          [1, 2, 3, 4, 5, 6].map(() => oci("exec", id, "sh", "-c", "exit 5")),
        );
        await Bun.sleep(15 + round * 8);
        process.kill(pid, "SIGKILL");
        for (const { exitCode, err } of await execs) {
          // Executed and over; executed and killed; or not executed.
          if (exitCode === 255) expect(err).toEndWith(": container not running");
          else expect([5, 137]).toContain(exitCode as number);
        }
        await containerd.remove(id);
      }
    },
  );
});

describe("a terminal", () => {
  testIf(compared, "is the process's own, of the size that the client says", async () => {
    const shown = await withBoth(async (runtime) => {
      const session = spawnOnTerminal(
        engine,
        containerd.command([
          ...["run", "--rm", "-t", ...containerd.runtime(runtime), IMAGE, newId()],
          ...[
            "sh",
            "-c",
            "tty; until stty size 2>&1 | grep .*[1-9]; do sleep 0.1; done; echo control >/dev/tty; stat -c %F /dev/console; exit 5",
          ],
        ]),
      );
      await session.waitForOutput(/special file/);
      const { exitCode, output } = await session.end();
      return { exitCode, output: output.replaceAll("\r", "") };
    });
    expect(shown).toEqual({
      exitCode: 5,
      output: "/dev/pts/0\n30 100\ncontrol\ncharacter special file\n",
    });
  });

  testIf(
    requirements,
    "is typed on, follows the caller's size, and Ctrl-C interrupts",
    async () => {
      const session = spawnOnTerminal(
        engine,
        containerd.command([
          "run",
          "--rm",
          "-t",
          ...containerd.runtime("mydocker"),
          IMAGE,
          newId(),
          "sh",
        ]),
      );
      session.type("echo a$((1+1))b\r");
      await session.waitForOutput(/a2b/);
      await waitFor("the new size", async () => {
        // ctr asks for the size before it listens for changes, and what comes between passes it by.
        session.resize(123, 44);
        session.resize(123, 45);
        session.type("stty size\r");
        await Bun.sleep(50);
        return session.output().includes("45 123");
      });
      session.type("echo sleeping; sleep 1000\r");
      await session.waitForOutput(/\nsleeping/);
      await Bun.sleep(100);
      session.type("\x03");
      session.type("echo now $?\r");
      await session.waitForOutput(/now 130/);
      session.type("exit 6\r");
      expect((await session.end()).exitCode).toBe(6);
    },
  );

  testIf(requirements, "is an exec's, too", async () => {
    const id = await detached("mydocker", IDLE);
    const session = spawnOnTerminal(
      engine,
      containerd.command([
        ...["task", "exec", "-t", "--fifo-dir", engine.directory("fifo")],
        ...[
          "--exec-id",
          newId(),
          id,
          "sh",
          "-c",
          "tty; until stty size 2>&1 | grep .*[1-9]; do sleep 0.1; done; exit 4",
        ],
      ]),
    );
    const { exitCode, output } = await session.end();
    expect([exitCode, output.replaceAll("\r", "")]).toEqual([4, "/dev/pts/0\n30 100\n"]);
  });
});

describe("many and broken", () => {
  testIf(
    requirements,
    "fifty containers at once run and leave nothing",
    async () => {
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, index) => run("mydocker", ["sh", "-c", `exit ${index}`])),
      );
      expect(results.map(({ exitCode, err }) => [exitCode, err])).toEqual(
        results.map((_, index) => [index, ""]),
      );
      expect(containerd.leftovers()).toEqual([]);
    },
    120_000,
  );

  testIf(requirements, "a shim that is killed takes its container along", async () => {
    const id = await detached("mydocker", IDLE);
    const pid = await containerd.pid(id);
    const shim = processesOf(`-id ${id}`.replace(" ", "\0")).find((each) =>
      readFileSync(`/proc/${each}/comm`, "utf8").startsWith("containerd-shim"),
    );
    expect(shim).toBeGreaterThan(0);
    process.kill(shim as number, "SIGKILL");
    await waitFor("the container's end", () => !existsSync(`/proc/${pid}/root/bin`));
    await waitFor(
      "its record's end",
      () => !containerd.leftovers().some((path) => path.endsWith(id)),
    );
  });

  testIf(requirements, "nothing is left of any container", async () => {
    await waitFor(
      () => `nothing to be left: ${containerd.leftovers().join(", ")}`,
      () => containerd.leftovers().length === 0,
    );
    expect((await containerd.ctr(["container", "ls", "-q"])).out).toBe("");
    await containerd.stop();
    await waitFor(
      () => `no processes: ${descendants(process.pid).join(", ")}`,
      () => descendants(process.pid).length === 0,
    );
  });
});

test("the runtime that containerd calls is the one under test", () => {
  expect(existsSync(RUNTIMES.mydocker)).toBe(true);
});
