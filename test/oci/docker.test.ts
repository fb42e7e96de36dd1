/** dockerd with mydocker as a further runtime: each call is made with runc, too, and what it gives compared. */

import { afterAll, afterEach, describe, expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { outcome, withBoth } from "../helpers/beside_runc.ts";
import { useEngine } from "../helpers/cli.ts";
import { Dockerd, IMAGE } from "../helpers/dockerd.ts";
import { descendants } from "../helpers/leaks.ts";
import { controllerFile, program, type Requirement, root, testIf } from "../helpers/requires.ts";
import { spawnOnTerminal } from "../helpers/terminal.ts";
import { waitFor } from "../helpers/wait.ts";

const requirements: Requirement[] = [root(), program("dockerd"), program("docker"), program("ip")];
const compared = [...requirements, program("runc")];
const cgroupV1 = controllerFile("memory/memory.limit_in_bytes");
const isComplete = requirements.every((requirement) => requirement === undefined);

const engine = useEngine({
  before: async () => {
    if (isComplete) await dockerd.start();
  },
});
const dockerd = new Dockerd(engine, "docker");
afterEach(async () => {
  if (isComplete && dockerd.isRunning) await dockerd.removeContainers();
});
afterAll(() => dockerd.stop());

const shell = (script: string) => ["sh", "-c", script];
const IDLE = shell("trap 'echo bye; exit 3' TERM; echo started; while :; do sleep 0.1; done");

/** Ids and names are each container's own. */
const anonymous = (text: string) => text.replace(/\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b/g, "ID");
const same = ({ out, ...rest }: ReturnType<typeof outcome>) => ({ ...rest, out: anonymous(out) });

describe("docker run", () => {
  testIf(compared, "hands on exit codes", async () => {
    for (const code of [0, 1, 42, 125, 126, 127, 128, 137, 255]) {
      const { exitCode } = await dockerd.run("mydocker", [], shell(`exit ${code}`));
      expect(exitCode).toBe(code);
    }
    await withBoth(async (runtime) => {
      const { exitCode } = await dockerd.run(runtime, [], shell("kill -9 $$; sleep 1; exit 5"));
      return exitCode;
    });
  });

  const refused: [command: string, exitCode: number, words: RegExp][] = [
    ["no-such-program", 127, /executable file not found in \$PATH/],
    ["/no/such/program", 127, /no such file or directory/],
    ["/etc/passwd", 126, /permission denied/],
    ["/etc", 126, /permission denied/],
  ];
  for (const [command, code, words] of refused) {
    testIf(compared, `ends with ${code} for ${command}`, async () => {
      const result = await dockerd.run("mydocker", [], [command]);
      expect(result.exitCode).toBe(code);
      expect(result.err).toMatch(words);
      expect(outcome(await dockerd.run("runc", [], [command]))).toEqual(outcome(result));
    });
  }

  testIf(compared, "gives a process what runc gives it", async () => {
    const status = "^(Umask|Uid|Gid|Groups|Sig(Pnd|Blk|Ign|Cgt)|Cap|NoNewPrivs|Seccomp)";
    const script = [
      `grep -E '${status}' /proc/self/status`,
      "cat /proc/self/limits /proc/self/oom_score_adj",
      "env; pwd; id; ls -ln /dev | cut -c1-44,58-; cat /proc/sys/kernel/domainname",
      "for fd in /proc/$$/fd/*; do echo ${fd##*/}; done",
      "grep -v -e systemd -e :: /proc/self/cgroup",
    ].join("; ");
    const { out } = await withBoth(async (runtime) =>
      same(outcome(await dockerd.run(runtime, [], shell(script)))),
    );
    expect(out).toContain("CapEff:\t00000000a80425fb");
    expect(out).toContain("Seccomp:\t2");
  });

  testIf(compared, "mounts what runc mounts", async () => {
    // Masked files are a device of the host's or of the container's, masked directories a tmpfs.
    const other = "proc/(keys|timer_list|acpi|scsi|latency|sched)|/firmware|/sys/fs/cgroup";
    const script = `grep -vE '${other}' /proc/self/mountinfo`;
    await withBoth(async (runtime) => {
      const { out } = await dockerd.run(runtime, [], shell(script));
      return anonymous(out)
        .split("\n")
        .map((line) => {
          const [left = "", right = ""] = line.split(" - ");
          const [type, , options = ""] = right.split(" ");
          const where = left.split(" ").slice(3, 6).join(" ");
          return `${where} ${type} ${options.replace(/(lower|upper|work)dir=[^,]*,?/g, "")}`;
        })
        .sort();
    });
  });

  const flags: [name: string, options: string[], script: string][] = [
    ["--user", ["--user", "1000:1000"], "id; grep Cap /proc/self/status"],
    ["--user by name", ["--user", "www-data"], "id; echo $HOME"],
    ["--group-add", ["--group-add", "5", "--group-add", "video"], "id"],
    ["a user that there is not", ["--user", "nobody-of-that-name"], "id"],
    [
      "--read-only with --tmpfs",
      ["--read-only", "--tmpfs", "/tmp:size=1m,mode=700"],
      "touch /file; touch /tmp/file; grep ' /tmp ' /proc/self/mountinfo | cut -d' ' -f5-",
    ],
    ["--cap-drop", ["--cap-drop", "ALL"], "grep Cap /proc/self/status"],
    [
      "--cap-add for another user",
      ["--user", "1000", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN"],
      "grep Cap /proc/self/status",
    ],
    [
      "--security-opt no-new-privileges",
      ["--security-opt", "no-new-privileges"],
      "grep NoNewPrivs /proc/self/status",
    ],
    [
      "--security-opt seccomp=unconfined",
      ["--security-opt", "seccomp=unconfined"],
      "grep Seccomp: /proc/self/status; unshare -U id",
    ],
    ["Docker's seccomp profile", [], "unshare -U id"],
    ["--ulimit", ["--ulimit", "nofile=100:200"], "grep 'open files' /proc/self/limits"],
    [
      "--sysctl",
      ["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.msgmax=9000"],
      "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax",
    ],
    [
      "--device",
      ["--device", "/dev/fuse", "--device", "/dev/zero:/dev/nil:r"],
      "ls -ln /dev/fuse /dev/nil | cut -c1-44; head -c 3 /dev/nil | wc -c; echo >/dev/nil",
    ],
    ["--init", ["--init"], "cat /proc/1/comm; exit 33"],
    [
      "--hostname, --add-host, --dns",
      ["--hostname", "box", "--add-host", "other:1.2.3.4", "--dns", "9.9.9.9"],
      "hostname; grep other /etc/hosts; cat /etc/resolv.conf",
    ],
    ["--network host", ["--network", "host"], "ls /sys/class/net"],
    [
      "a network",
      ["--network", "bridge"],
      "ip route | cut -d' ' -f1-5; ping -c1 -W2 172.17.0.1 | grep -c ' 0% packet loss'",
    ],
    ["--pid host", ["--pid", "host"], "readlink /proc/self/ns/pid"],
    ["--ipc host", ["--ipc", "host"], "readlink /proc/self/ns/ipc"],
    ["--uts host", ["--uts", "host"], "readlink /proc/self/ns/uts; hostname"],
    ["--cgroupns private", ["--cgroupns", "private"], "grep -E ':(memory|):' /proc/self/cgroup"],
    ["--shm-size", ["--shm-size", "1m"], "df -k /dev/shm | tail -1"],
    [
      "--volume and --mount",
      [
        ...["--volume", "/etc:/mnt:ro", "--volume", "/data"],
        ...["--mount", "type=bind,src=/usr,dst=/usr2,readonly,bind-propagation=rslave"],
      ],
      "touch /mnt/file; touch /data/file; ls /data; grep -E ' /(mnt|data|usr2) ' /proc/self/mountinfo | cut -d' ' -f5,6",
    ],
    ["--workdir", ["--workdir", "/new/folder"], "pwd; stat -c %u:%g:%a ."],
    [
      "--workdir of another user",
      ["--workdir", "/new", "--user", "1000"],
      "pwd; stat -c %u:%g:%a .",
    ],
    ["--oom-score-adj", ["--oom-score-adj", "500"], "cat /proc/self/oom_score_adj"],
    ["--env and --label", ["--env", "A=b c", "--label", "a=b"], "echo $A"],
    ["--stop-signal and --blkio-weight", ["--stop-signal", "INT", "--blkio-weight", "100"], "true"],
  ];
  for (const [name, options, script] of flags) {
    testIf(compared, `takes ${name} as with runc`, async () => {
      await withBoth(async (runtime) => {
        const { exitCode, out } = same(outcome(await dockerd.run(runtime, options, shell(script))));
        return { exitCode, out };
      });
    });
  }

  const limits: [name: string, options: string[], script: string][] = [
    ["--memory", ["--memory", "32m"], "cat memory/memory.limit_in_bytes"],
    [
      "--memory-reservation and --memory-swappiness",
      ["--memory", "64m", "--memory-reservation", "16m", "--memory-swappiness", "0"],
      "cat memory/memory.soft_limit_in_bytes memory/memory.swappiness",
    ],
    [
      "--cpus, --cpu-shares, --cpuset-cpus",
      ["--cpus", "0.5", "--cpu-shares", "100", "--cpuset-cpus", "0"],
      "cat cpu/cpu.cfs_quota_us cpu/cpu.shares cpuset/cpuset.cpus; grep Cpus_allowed_list /proc/self/status",
    ],
    ["--pids-limit", ["--pids-limit", "20"], "cat pids/pids.max"],
    ["no limits", [], "cat cpuset/cpuset.cpus cpuset/cpuset.mems memory/memory.limit_in_bytes"],
  ];
  for (const [name, options, script] of limits) {
    testIf([...compared, cgroupV1], `limits by ${name} as with runc`, async () => {
      await withBoth(async (runtime) =>
        outcome(await dockerd.run(runtime, options, shell(`cd /sys/fs/cgroup; ${script}`))),
      );
    });
  }

  testIf(requirements, "ends with 137 out of memory, and docker knows why", async () => {
    const id = await dockerd.detached("mydocker", ["--memory", "16m"], ["tail", "/dev/zero"]);
    await dockerd.until(id, "{{.State.Status}} {{.State.ExitCode}}", "exited 137");
    await dockerd.until(id, "{{.State.OOMKilled}}", "true");
    await dockerd.docker(["rm", id]);
  });

  testIf(requirements, "--privileged gives every capability that there is to give", async () => {
    const own = /CapPrm:\t(\w+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    const script =
      "grep -E 'Cap(Eff|Bnd)|Seccomp:' /proc/self/status; mount -t tmpfs none /tmp && echo mounted";
    const { out, err, exitCode } = await dockerd.run("mydocker", ["--privileged"], shell(script));
    expect(err).toBe(""); // a warning goes to the log alone: standard error is the container's
    const lines = out.split("\n");
    const effective = BigInt(`0x${lines[0]?.split("\t")[1]}`);
    // This docker knows capabilities up to CAP_AUDIT_READ.
    expect(effective).toBe(BigInt(`0x${own}`) & 0x3fffffffffn);
    expect(lines[0]?.replace("Eff", "Bnd")).toBe(lines[1]);
    expect(lines.slice(2)).toEqual(["Seccomp:\t0", "mounted"]);
    expect(exitCode).toBe(0);
  });

  testIf(requirements, "copies standard input, and keeps output and errors apart", async () => {
    const script = "wc -c; echo error >&2; exit 4";
    const stdin = "x".repeat(300_000);
    const { out, err, exitCode } = await dockerd.run("mydocker", ["-i"], shell(script), { stdin });
    expect([out.trim(), err, exitCode]).toEqual(["300000", "error", 4]);
  });

  testIf(compared, "-t is a terminal of the client's size", async () => {
    const shown = await withBoth(async (runtime) => {
      const session = spawnOnTerminal(
        engine,
        dockerd.command([
          ...["run", "--rm", "-it", "--network", "none", "--runtime", runtime, IMAGE],
          ...shell(
            "until stty size | grep '30 100'; do sleep 0.1; done; tty; read line; echo got $line; exit 5",
          ),
        ]),
      );
      await session.waitForOutput(/pts\/0/);
      session.type("a line\r");
      const { exitCode, output } = await session.end();
      return { exitCode, output: output.replaceAll("\r", "").replace(/^(0 0\n)+/, "") };
    });
    expect(shown.exitCode).toBe(5);
    expect(shown.output).toContain("30 100\n/dev/pts/0\n");
    expect(shown.output).toContain("got a line\n");
  });

  testIf(compared, "joins the namespaces of another container", async () => {
    await withBoth(async (runtime) => {
      const id = await dockerd.detached(runtime, ["--ipc", "shareable"], IDLE);
      const links = "for ns in pid net ipc; do readlink /proc/self/ns/$ns; done";
      const options = ["pid", "network", "ipc"].flatMap((ns) => [`--${ns}=container:${id}`]);
      const { out, exitCode } = await dockerd.run(
        runtime,
        options,
        shell(`${links}; ps | grep -c 'trap'`),
      );
      const own = await dockerd.docker(["exec", id, ...shell(links)]);
      await dockerd.docker(["rm", "--force", id]);
      expect(out.split("\n").slice(0, 3)).toEqual(own.out.split("\n"));
      return { exitCode };
    });
  });

  testIf(requirements, "publishes ports", async () => {
    const serve = shell("mkdir /www; echo page >/www/index.html; exec httpd -f -h /www");
    const id = await dockerd.detached("mydocker", ["--publish", "8099:80"], serve);
    await waitFor("the page", async () => {
      const { out } = await dockerd.inNetwork([
        "bash",
        "-c",
        "exec 3<>/dev/tcp/127.0.0.1/8099; echo 'GET / HTTP/1.0\n' >&3; cat <&3",
      ]);
      return out.includes("page");
    });
    await dockerd.docker(["rm", "--force", id]);
  });
});

describe("a container of docker's", () => {
  testIf(
    compared,
    "is execed in, paused, updated, copied, restarted, stopped and removed as with runc",
    async () => {
      const file = join(engine.directory("copied"), "file");
      writeFileSync(file, "content\n");
      const seen = await withBoth(async (runtime) => {
        const name = "container";
        const steps: unknown[] = [];
        const step = async (...args: string[]) => {
          const { out, ...rest } = same(outcome(await dockerd.docker(args)));
          steps.push([args.join(" "), { ...rest, out }]);
        };
        const state =
          "{{.State.Status}} {{.State.ExitCode}} {{.State.Paused}} {{.State.OOMKilled}}";
        await dockerd.detached(runtime, ["--name", name], IDLE);
        await step("exec", name, ...shell("echo out; exit 9"));
        await step("exec", name, "no-such-program");
        await step("exec", name, "/no/such/program");
        await step("exec", name, "/etc/passwd");
        await step("exec", name, "/etc");
        await step(
          "exec",
          "--user",
          "1000:5",
          "--workdir",
          "/tmp",
          "--env",
          "X=1",
          name,
          ...shell("id; pwd; echo $X; grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status"),
        );
        await step("exec", name, ...shell("kill -9 $$"));
        await step(
          "exec",
          name,
          ...shell("cat /proc/self/oom_score_adj; grep -v -e systemd -e :: /proc/self/cgroup"),
        );
        await step("exec", "--detach", name, "touch", "/made");
        await waitFor("the file", async () => {
          return (await dockerd.docker(["exec", name, "ls", "/made"])).exitCode === 0;
        });
        await waitFor(
          "its line",
          async () => (await dockerd.docker(["logs", name])).out === "started",
        );
        await step("top", name, "-o", "comm");
        await step("pause", name);
        await step("exec", name, "true");
        await step("inspect", "--format", state, name);
        await step("unpause", name);
        await step(
          "update",
          "--memory",
          "64m",
          "--memory-swap",
          "128m",
          "--cpus",
          "0.3",
          "--pids-limit",
          "50",
          name,
        );
        await step("cp", file, `${name}:/tmp/file`);
        await step("exec", name, "cat", "/tmp/file");
        await step("rename", name, "renamed");
        await step("restart", "renamed");
        await step("exec", "renamed", "echo", "again");
        await waitFor("two lines", async () => {
          return (await dockerd.docker(["logs", "renamed"])).out === "started\nbye\nstarted";
        });
        await step("stop", "renamed");
        await step("inspect", "--format", state, "renamed");
        await step("exec", "renamed", "true");
        await step("start", "renamed");
        await step("kill", "--signal", "KILL", "renamed");
        await dockerd.until("renamed", "{{.State.Status}}", "exited");
        await step("inspect", "--format", state, "renamed");
        await step("start", "renamed");
        await step("rm", "renamed");
        await step("rm", "--force", "renamed");
        await step("start", "renamed");
        return steps;
      });
      expect(JSON.stringify(seen)).toContain("executable file not found in");
    },
  );

  testIf([...requirements, cgroupV1], "has the limits that docker update gives it", async () => {
    const id = await dockerd.detached("mydocker", [], IDLE);
    const limits = [
      "--memory",
      "64m",
      "--memory-swap",
      "64m",
      "--cpus",
      "0.3",
      "--pids-limit",
      "50",
    ];
    const { exitCode, err } = await dockerd.docker(["update", ...limits, id]);
    expect([exitCode, err]).toEqual([0, ""]);
    const files = ["memory/memory.limit_in_bytes", "cpu/cpu.cfs_quota_us", "pids/pids.max"];
    const { out } = await dockerd.docker([
      "exec",
      "--workdir",
      "/sys/fs/cgroup",
      id,
      "cat",
      ...files,
    ]);
    expect(out.split("\n")).toEqual([String(64 * 2 ** 20), "30000", "50"]);
    await dockerd.docker(["rm", "--force", id]);
  });

  testIf(compared, "is measured by docker stats", async () => {
    await withBoth(async (runtime) => {
      const id = await dockerd.detached(runtime, ["--memory", "64m"], ["sleep", "1000"]);
      const format = "{{.PIDs}} {{.BlockIO}} {{.MemUsage}} {{.MemPerc}}";
      const { out } = await dockerd.docker(["stats", "--no-stream", "--format", format, id]);
      await dockerd.docker(["rm", "--force", id]);
      // What was read and used is each run's own.
      const measured = /^1 [\d.]+k?B \/ [\d.]+k?B [\d.]+[KM]iB \/ 64MiB [\d.]+%$/;
      expect(out).toMatch(measured);
      return measured.test(out);
    });
  });

  testIf(compared, "is restarted when it fails, and its health is checked", async () => {
    await withBoth(async (runtime) => {
      const failing = await dockerd.detached(runtime, ["--restart", "on-failure:2"], ["false"]);
      const healthy = await dockerd.detached(
        runtime,
        ["--health-cmd", "test -e /etc/passwd", "--health-interval", "200ms"],
        IDLE,
      );
      const sick = await dockerd.detached(
        runtime,
        ["--health-cmd", "exit 7", "--health-interval", "200ms", "--health-retries", "2"],
        IDLE,
      );
      await dockerd.until(
        failing,
        "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}",
        "2 exited 1",
      );
      await dockerd.until(healthy, "{{.State.Health.Status}}", "healthy");
      await dockerd.until(
        sick,
        "{{.State.Health.Status}} {{(index .State.Health.Log 0).ExitCode}}",
        "unhealthy 7",
      );
      return (await dockerd.docker(["rm", "--force", failing, healthy, sick])).exitCode;
    });
  });

  testIf(
    requirements,
    "with --init ends at once when it is stopped, though it handles no signal",
    async () => {
      const id = await dockerd.detached("mydocker", ["--init"], ["sleep", "1000"]);
      expect(
        (await dockerd.docker(["stop", "--time", "30", id], { timeout: 20_000 })).exitCode,
      ).toBe(0);
      expect(await dockerd.inspect(id, "{{.State.ExitCode}}")).toBe("143");
      await dockerd.docker(["rm", id]);
    },
  );

  testIf(requirements, "twenty run at once", async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        dockerd.run("mydocker", [], shell(`echo ${index}; exit ${index}`)),
      ),
    );
    expect(results.map(({ exitCode, out }) => [exitCode, out])).toEqual(
      results.map((_, index) => [index, String(index)]),
    );
  });
});

describe("nothing is left", () => {
  testIf(requirements, "of any container", async () => {
    await waitFor(
      () => `no cgroups: ${dockerd.leftovers().join(", ")}`,
      () => dockerd.leftovers().length === 0,
    );
    await dockerd.stop();
    await waitFor(
      () => `no processes: ${descendants(process.pid).join(", ")}`,
      () => descendants(process.pid).length === 0,
    );
  });
});

describe("as the default runtime", () => {
  const second = new Dockerd(engine, "default");
  afterAll(() => second.stop());

  testIf(requirements, "mydocker builds images and runs them", async () => {
    await second.start(["--default-runtime", "mydocker"]);
    expect((await second.docker(["info", "--format", "{{.DefaultRuntime}}"])).out).toBe("mydocker");
    const context = engine.directory("context");
    writeFileSync(
      join(context, "Dockerfile"),
      [
        `FROM ${IMAGE}`,
        "ENV WHO=world",
        "WORKDIR /app",
        "COPY Dockerfile .",
        "RUN echo hello $WHO >greeting && id >who && touch /usr/bin/new",
        "USER www-data",
        "RUN id >/tmp/who",
        'CMD ["cat", "greeting", "who", "/tmp/who"]',
        "",
      ].join("\n"),
    );
    const built = await second.docker(["build", "--tag", "built", context]);
    expect([built.exitCode, built.err]).toEqual([0, ""]);
    const { out, exitCode } = await second.docker(["run", "--rm", "built"]);
    expect(exitCode).toBe(0);
    expect(out.split("\n")).toEqual([
      "hello world",
      "uid=0(root) gid=0(root) groups=0(root)",
      "uid=33(www-data) gid=33(www-data) groups=33(www-data)",
    ]);
    writeFileSync(join(context, "Dockerfile"), `FROM ${IMAGE}\nRUN exit 7\n`);
    const failed = await second.docker(["build", context]);
    expect(failed.err).toContain("returned a non-zero code: 7");
    await second.stop();
  });
});
