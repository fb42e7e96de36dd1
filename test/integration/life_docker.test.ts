/** Containers beside Docker's: `ps` and its filters, `inspect`, and what is said to bad input. */

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { Dockerd, IMAGE } from "../helpers/dockerd.ts";
import { program, type Requirement, root, testIf } from "../helpers/requires.ts";

const requirements: Requirement[] = [root(), program("dockerd"), program("docker"), program("ip")];
const isComplete = requirements.every((requirement) => requirement === undefined);

const engine = useEngine({
  before: async () => {
    if (!isComplete) return;
    for (const call of [
      ["tag", "busybox", IMAGE],
      ["volume", "create", "first"],
      ["volume", "rm", "first"],
    ]) {
      await engine.call(call);
    }
  },
});
const dockerd = new Dockerd(engine, "beside");

/** Both engines do the same; it has to succeed. */
async function both(...args: string[]): Promise<void> {
  for (const { exitCode, err } of await Promise.all([engine.call(args), dockerd.docker(args)])) {
    expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  }
}

const NAMES = ["made", "up", "failed", "done", "still"];

beforeAll(async () => {
  if (!isComplete) return;
  await dockerd.start();
  const quiet = ["--network", "none"];
  await both("volume", "create", "stock");
  await both(
    "create",
    ...quiet,
    "--name",
    "made",
    "-l",
    "tier=web",
    "--expose",
    "8001/udp",
    IMAGE,
    "true",
  );
  await both(
    ...["run", "-d", ...quiet, "--name", "up", "-l", "tier=db", "-l", "with.dots-and=b"],
    ...["-v", "stock:/stock", "-v", "/tmp:/host:ro", IMAGE, "sleep", "1000"],
  );
  for (const [name, code] of [
    ["failed", "3"],
    ["done", "0"],
  ] as const) {
    await both("run", "-d", ...quiet, "--name", name, IMAGE, "sh", "-c", `exit ${code}`);
    await both("wait", name).catch(() => undefined);
  }
  await both("run", "-d", ...quiet, "--name", "still", IMAGE, "sleep", "1000");
  await both("pause", "still");
}, 60_000);
afterAll(async () => {
  await dockerd.stop();
});

describe("ps", () => {
  const shown: string[][] = [
    [],
    ["-a"],
    ["-l"],
    ["-n", "2"],
    ["-n", "0"],
    ["-n", "2", "-f", "name=e"],
    ["-l", "-f", "status=exited"],
    ["-f", "name=u"],
    ["-a", "-f", "name=^do"],
    ["-a", "-f", "name=/done"],
    ["-a", "-f", "name=^/done$"],
    ["-a", "-f", "name=done", "-f", "name=up"],
    ["-a", "-f", "name=["],
    ["-f", "label=tier"],
    ["-a", "-f", "label=tier"],
    ["-a", "-f", "label=tier=web"],
    ["-a", "-f", "label=tier", "-f", "label=tier=db"],
    ["-f", "status=created"],
    ["-f", "status=exited", "-f", "status=paused"],
    ["-f", "status=running"],
    ["-f", "exited=3"],
    ["-a", "-f", "exited=3"],
    ["-a", "-f", "exited=0"],
    ["-a", "-f", "exited=0", "-f", "exited=3"],
    ["-a", "-f", "before=failed"],
    ["-a", "-f", "since=failed"],
    ["-a", "-f", "since=made", "-f", "before=done"],
    ["-f", "volume=stock"],
    ["-f", "volume=/stock"],
    ["-f", "volume=/host"],
    ["-f", "volume=/tmp"],
    ["-f", "volume=nowhere"],
    ["-a", "-f", `ancestor=${IMAGE}`],
    ["-a", "-f", "ancestor=nothing"],
    ["-a", "-f", "health=none"],
    ["-f", "health=healthy"],
    ["-f", "network=none"],
    ["-a", "-f", "publish=80"],
    ["-a", "-f", "expose=8000-8080/udp"],
    ["-a", "-f", "expose=7000"],
    ["-f", "network=host"],
    ["-a", "-f", "is-task=false"],
    ["-a", "-f", "id=none"],
    ["-a", "-f", "NAME = up"],
  ];
  for (const args of shown) {
    testIf(requirements, `${args.join(" ")} shows what Docker shows`, async () => {
      const call = ["ps", ...args, "--format", "{{.Names}}"];
      const docker = await dockerd.docker(call);
      const ours = await engine.call(call);
      expect([ours.exitCode, ours.err, ours.out]).toEqual([0, "", docker.out]);
    });
  }

  const drawn: string[][] = [
    ["-a", "--format", "table {{.Names}}\t{{.Image}}\t{{.Command}}\t{{.State}}"],
    ["-a", "--format", 'table {{.Names}}\t{{.Label "with.dots-and"}}'],
    ["-a", "--format", "table {{.LocalVolumes}}\t{{.Mounts}}\t{{.Networks}}\t{{.Ports}}"],
    ["-a", "--format", "{{.Names}}: {{.Size}}"],
    ["-a", "--format", "{{json .Names}} {{upper .State}} {{.Mounts}}", "--no-trunc"],
    ["-a", "--format", '{{join (split .Names "e") "-"}}'],
    ["-a", "-q", "--format", "{{.Names}}"],
  ];
  for (const args of drawn) {
    testIf(requirements, `${args.join(" ")} is drawn as Docker draws it`, async () => {
      const docker = await dockerd.docker(["ps", ...args]);
      const ours = await engine.call(["ps", ...args]);
      // Docker's mounts are in no order, and its image is counted otherwise.
      const plain = (text: string) =>
        text.replace("/tmp,stock", "stock,/tmp").replaceAll(/virtual [\d.]+/g, "virtual 2");
      expect([ours.exitCode, ours.err, plain(ours.out)]).toEqual([0, "", plain(docker.out)]);
    });
  }

  testIf(requirements, "-s has a column more, and -q the ids alone", async () => {
    const heading = async (...args: string[]) =>
      [await engine.call(args), await dockerd.docker(args)].map(({ out }) =>
        (out.split("\n")[0] ?? "").replace(/ +/g, " "),
      );
    const [ours, docker] = await heading("ps", "-a", "-s");
    expect(ours).toBe(docker as string);
    const { out } = await engine.call(["ps", "-a", "-q"]);
    expect(out.split("\n")).toHaveLength(NAMES.length);
    expect(out).toMatch(/^[0-9a-f]{12}(\n[0-9a-f]{12})*$/);
  });

  testIf(requirements, "as JSON has Docker's fields", async () => {
    const call = ["ps", "-f", "name=up", "--format", "{{json .}}"];
    const [ours, docker] = [await engine.call(call), await dockerd.docker(call)].map(({ out }) =>
      JSON.parse(out),
    );
    const same = {
      CreatedAt: "",
      ID: "",
      RunningFor: "",
      Status: "",
      Labels: "",
      Mounts: "",
      Size: "",
    };
    expect({ ...ours, ...same }).toEqual({ ...docker, ...same });
  });
});

describe("inspect", () => {
  const options = [
    ...["-h", "hh", "-e", "A=b", "-l", "x=y", "--cap-add", "NET_ADMIN"],
    ...[
      "--cap-drop",
      "MKNOD",
      "--tmpfs",
      "/t:size=1m",
      "-v",
      "/tmp:/host:ro",
      "-v",
      "stock:/stock",
    ],
    ...["--mount", "type=bind,source=/etc,target=/etc2,readonly", "-m", "64m", "--cpus", "0.5"],
    ...[
      "--ulimit",
      "nofile=100:200",
      "--device",
      "/dev/null:/dev/x:r",
      "--restart",
      "on-failure:3",
    ],
    ...[
      "--security-opt",
      "no-new-privileges",
      "-w",
      "/tmp",
      "-u",
      "1:1",
      "--stop-signal",
      "SIGINT",
    ],
    ...["--stop-timeout", "3", "--init", "--read-only", "--sysctl", "kernel.msgmax=1"],
    ...["--group-add", "5", "--log-opt", "max-size=1000000", "--log-opt", "max-file=2"],
    ...["--device-cgroup-rule", "c 1:* rw", "--oom-score-adj", "7", "--shm-size", "1m"],
    ...["--network", "none", "--entrypoint", "sleep"],
  ];

  /** What there is of each, and which kind of value: `HostConfig.Memory number`. */
  function shapeOf(value: unknown, path = ""): string[] {
    if (Array.isArray(value))
      return [...new Set(value.flatMap((each) => shapeOf(each, `${path}[]`)))];
    if (typeof value !== "object" || value === null)
      return [`${path} ${value === null ? null : typeof value}`];
    return Object.entries(value).flatMap(([key, each]) => shapeOf(each, `${path}.${key}`));
  }

  const found = async (name: string) =>
    [await engine.call(["inspect", "-s", name]), await dockerd.docker(["inspect", "-s", name])].map(
      ({ out }) => JSON.parse(out)[0],
    );

  testIf(requirements, "has all of Docker's fields, and their values", async () => {
    await both("run", "-d", "--name", "full", ...options, IMAGE, "1000");
    const [ours, docker] = await found("full");
    const known = new Set(shapeOf(ours));
    expect(shapeOf(docker).filter((each) => !known.has(each))).toEqual([]);
    const comparable = (of: typeof ours) => ({
      ...{ Path: of.Path, Args: of.Args, Name: of.Name, RestartCount: of.RestartCount },
      State: { ...of.State, Pid: 0, StartedAt: "" },
      HostConfig: {
        ...of.HostConfig,
        Binds: of.HostConfig.Binds.toSorted(), // Docker's come in any order
        ...{ Runtime: "", CgroupParent: "", CgroupPath: "" },
        // These are each release's own.
        CapAdd: of.HostConfig.CapAdd.map((name: string) => name.replace("CAP_", "")),
        CapDrop: of.HostConfig.CapDrop.map((name: string) => name.replace("CAP_", "")),
        ...{ MaskedPaths: [], ReadonlyPaths: [] },
      },
      Config: { ...of.Config, Env: of.Config.Env.slice(0, 1) }, // the rest is the image's
      Mounts: of.Mounts.map(({ Destination, Mode, RW, Type }: Record<string, unknown>) => ({
        ...{ Destination, Mode, RW, Type },
      })).sort((a: { Destination: string }, b: { Destination: string }) =>
        a.Destination < b.Destination ? -1 : 1,
      ),
    });
    expect(comparable(ours)).toEqual(comparable(docker));
    await both("rm", "-f", "full");
  });

  testIf(requirements, "finds images and volumes, too, and only what --type says", async () => {
    for (const args of [["stock"], ["--type", "volume", "stock"]]) {
      const call = ["inspect", "-f", "{{.Name}} {{.Scope}}", ...args];
      expect((await engine.call(call)).out).toBe((await dockerd.docker(call)).out);
    }
    const { out } = await engine.call(["inspect", "--type", "image", "-f", "{{.Os}}", IMAGE]);
    expect(out).toBe("linux");
    expect(JSON.parse((await engine.call(["inspect", "up", IMAGE])).out)).toHaveLength(2);
  });
});

describe("run", () => {
  const command = ["sh", "-c", "echo out; echo err >&2; exit 3"];
  const fields =
    "{{.Config.AttachStdin}} {{.Config.AttachStdout}} {{.Config.AttachStderr}} {{.Config.StdinOnce}}";
  for (const chosen of [[], ["-a", "stdout"], ["-a", "STDERR"], ["-i"], ["-i", "-a", "stdout"]]) {
    testIf(requirements, `shows what it is attached to: ${chosen.join(" ")}`, async () => {
      const call = ["run", "--network", "none", ...chosen, "--name", "part", IMAGE, ...command];
      const ours = await engine.call(call);
      const docker = await dockerd.docker(call);
      expect([ours.exitCode, ours.out, ours.err]).toEqual([3, docker.out, docker.err]);
      const inspect = ["inspect", "-f", fields, "part"];
      expect((await engine.call(inspect)).out).toBe((await dockerd.docker(inspect)).out);
      expect((await engine.call(["logs", "part"])).out).toBe("out"); // whoever saw it
      await both("rm", "part");
    });
  }

  testIf(requirements, "-a stdin leaves with the end of the input, and shows the id", async () => {
    const call = ["run", "--network", "none", "-i", "-a", "stdin", "--name", "fed", IMAGE, "cat"];
    for (const run of [engine.call.bind(engine), dockerd.docker.bind(dockerd)]) {
      const { exitCode, out } = await run(call, { stdin: "text\n" });
      expect([exitCode, out]).toEqual([0, expect.stringMatching(/^[0-9a-f]{64}$/)]);
      expect((await run(["wait", "fed"])).out).toBe("0");
      expect((await run(["logs", "fed"])).out).toBe("text");
    }
    await both("rm", "fed");
  });

  testIf(requirements, "logs labels, variables and a tag with each line", async () => {
    const call = [
      ...["run", "--network", "none", "--name", "tagged", "-l", "tier=a b&c", "-l", "other=1"],
      ...["-e", "ONE=1", "-e", "TWO='2'", "--log-opt", "labels=tier,none", "--log-opt", "env=TWO"],
      ...["--log-opt", "env-regex=^O", "--log-opt", "tag={{.Name}} {{ .ImageName}}", IMAGE],
    ];
    await both(...call, "echo", "text");
    const details = ["logs", "--details", "tagged"];
    const docker = await dockerd.docker(details);
    expect((await engine.call(details)).out).toBe(docker.out);
    expect(docker.out).toContain("tag=tagged+busybox%3Atest");
    const config = ["inspect", "-f", "{{json .HostConfig.LogConfig}}", "tagged"];
    expect((await engine.call(config)).out).toBe((await dockerd.docker(config)).out);
    await both("rm", "tagged");
  });

  testIf(requirements, "takes options of other systems by their only value", async () => {
    const call = ["--network", "none", "--isolation", "default", "--disable-content-trust"];
    await both("run", "--rm", ...call, IMAGE, "true");
    for (const run of [engine.call.bind(engine), dockerd.docker.bind(dockerd)]) {
      const made = await run(["create", "--kernel-memory", "64m", "--name", "kernel", IMAGE]);
      expect([made.exitCode, made.err]).toEqual([0, expect.stringMatching(/warning: /i)]);
      const limit = await run(["inspect", "-f", "{{.HostConfig.KernelMemory}}", "kernel"]);
      expect(limit.out).toBe("67108864");
    }
    await both("rm", "kernel");
  });
});

testIf(
  requirements,
  "events of volumes are Docker's, and where they are among others",
  async () => {
    const since = (Date.now() / 1000).toFixed(3);
    await both(
      ...["create", "--network", "none", "--name", "user", "-v", "used:/a:ro", "-v", "/anonymous"],
      ...["-v", "/tmp:/bind", "--tmpfs", "/memory", "--mount", "type=volume,src=used2,dst=/b"],
      ...[IMAGE, "sleep", "1000"],
    );
    await both("start", "user");
    await both("restart", "-t", "0", "user");
    await both("kill", "user");
    await both("wait", "user").catch(() => undefined);
    await both("cp", "user:/etc/hosts", join(engine.directory("copies"), "hosts"));
    await both("rm", "-v", "user");
    const actions = ["mount", "unmount", "create", "destroy", "start", "die"];
    const told = async (run: (args: string[]) => Promise<{ out: string }>) => {
      const { out } = await run([
        ...["events", "--since", since, "--until", (Date.now() / 1000).toFixed(3)],
        ...actions.flatMap((action) => ["-f", `event=${action}`]),
        ...["-f", "type=volume", "-f", "type=container", "--format"],
        '{{.Type}} {{.Action}} {{if eq .Type "volume"}}{{json .Actor.Attributes}}{{end}}',
      ]);
      // Docker tells of the volumes of one moment in any order.
      const groups: string[][] = [];
      let last = "";
      for (const line of out.replaceAll(/[0-9a-f]{64}/g, "ID").split("\n")) {
        const kind = line.split(" ", 2).join(" ");
        if (kind !== last) groups.push([]);
        groups.at(-1)?.push(line);
        last = kind;
      }
      return groups.map((group) => [...new Set(group)].sort());
    };
    const docker = await told((args) => dockerd.docker(args));
    expect(docker.flat().filter((line) => line.startsWith("volume mount"))).toHaveLength(9);
    expect(await told((args) => engine.call(args))).toEqual(docker);
    await both("volume", "rm", "used", "used2");
  },
);

describe("bad input", () => {
  const nobody = ["start", "stop", "restart", "kill", "rm", "pause", "unpause", "wait", "logs"];
  const refused: string[][] = [
    ...nobody.map((verb) => [verb, "nobody"]),
    ...[["inspect"], ["top"], ["attach"], ["stats", "--no-stream"]].map((call) => [
      ...call,
      "nobody",
    ]),
    ["inspect", "--type", "image", "nobody"],
    ["inspect", "--type", "volume", "up"],
    ["inspect", "--type", "container", "stock"],
    ["inspect", "--type", "nonsense", "up"],
    ["inspect", "No Name"],
    ["inspect", "../up"],
    ["inspect", "-f", "{{.Nothing}}", "up"],
    ["exec", "nobody", "true"],
    ["rename", "nobody", "other"],
    ["rename", "done", "up"],
    ["rename", "done", "bad name"],
    ["rename", "done", ""],
    ["update", "-m", "64m", "nobody"],
    ["update", "-m", "nonsense", "up"],
    ["create", "--name", "up", IMAGE, "true"],
    ["run", "-d", "--name", "up", IMAGE, "true"],
    ["create", "--name", "bad name", IMAGE, "true"],
    ["exec", "done", "true"],
    ["exec", "made", "true"],
    ["exec", "still", "true"],
    ["exec", "-it", "up", "true"],
    ["exec", "up"],
    ["rm", "up"],
    ["rm", "still"],
    ["kill", "done"],
    ["kill", "made"],
    ["kill", "-s", "NONSENSE", "up"],
    ["kill", "-s", "999", "up"],
    ["pause", "done"],
    ["pause", "still"],
    ["unpause", "up"],
    ["unpause", "done"],
    ["attach", "done"],
    ["attach", "still"],
    ["top", "done"],
    ["stop", "-t", "soon", "up"],
    ["run", "-it", IMAGE, "true"],
    ["run", "-d", "-a", "stdout", IMAGE, "true"],
    ["run", "-a", "nonsense", IMAGE, "true"],
    ["run", "--isolation", "process", IMAGE, "true"],
    ["run", "--runtime", "nonsense", IMAGE, "true"],
    ["run", "--storage-opt", "size=1G", IMAGE, "true"],
    ["run", "--storage-opt", "size", IMAGE, "true"],
    ["run", "--kernel-memory", "1k", IMAGE, "true"],
    ["run", "--cpu-rt-period", "1000", "--cpu-rt-runtime", "2000", IMAGE, "true"],
    ["run", "--log-driver", "none", "--log-opt", "tag=x", IMAGE, "true"],
    ["run", "--log-opt", "nonsense=1", IMAGE, "true"],
    ["run", "--log-opt", "mode=nonsense", IMAGE, "true"],
    ["run", "--log-opt", "max-buffer-size=1m", IMAGE, "true"],
    ["run", "--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=x", IMAGE, "true"],
    ["ps", "-f", "name=nobody", "--format", "{{.Nothing}}"],
    ["ps", "--format", "{{nothing .}}"],
    ["inspect", "-f", "{{.Name", "up"],
    ["inspect", "-f", "{{.Name", "nobody"],
    ["volume", "inspect", "-f", "{{", "stock"],
    ["image", "inspect", "-f", "{{", IMAGE],
    ["version", "-f", "{{"],
    ["info", "-f", "{{"],
    ["events", "--until", "0s", "--format", "{{"],
    ["volume", "ls", "--format", "{{"],
    ["images", "--format", "{{"],
    ["run", "--rm", "--restart", "always", IMAGE, "true"],
    ["run", "--restart", "sometimes", IMAGE, "true"],
    ["run", "--restart", "always:3", IMAGE, "true"],
    ["run", "--cpus", "1", "--cpu-quota", "1000", IMAGE, "true"],
    ["run", "--nonsense", IMAGE, "true"],
    ["run", "-m", "1k", IMAGE, "true"],
    ["run", "-m", "64m", "--memory-swap", "32m", IMAGE, "true"],
    ["run", "-w", "relative", IMAGE, "true"],
    ["run", "-v", "/tmp:relative", IMAGE, "true"],
    ["run", "-v", "/tmp:/data:nonsense", IMAGE, "true"],
    ["run", "-e", "", IMAGE, "true"],
    ["ps", "--nonsense"],
    ["ps", "extra"],
    ["ps", "-f", "nonsense"],
    ["ps", "-f", "nonsense=1"],
    ["ps", "-f", "exited=x"],
    ["ps", "-f", "status=nonsense"],
    ["ps", "-f", "health=nonsense"],
    ["ps", "-f", "before=nobody"],
    ["ps", "-f", "since=nobody"],
    ["ps", "--format", "{{.Nothing}}"],
    ["ps", "--format", "{{.Names"],
    ["ps", "-f", "publish=nonsense"],
    ["ps", "-f", "expose=90-80"],
    ["ps", "-n", "x"],
    ["logs", "--since", "nonsense", "up"],
    ["logs"],
    ["inspect"],
    ["rm"],
    ["wait"],
  ];
  for (const args of refused) {
    testIf(requirements, `${args.join(" ")} ends with Docker's exit code and a line`, async () => {
      const states = ["ps", "-a", "--format", "{{.Names}} {{.State}}"];
      const before = await engine.call(states);
      const [docker, ours] = await Promise.all([dockerd.docker(args), engine.call(args)]);
      expect([ours.exitCode, ours.out]).toEqual([docker.exitCode, docker.out]);
      expect(ours.err.split("\n")).toEqual([expect.stringMatching(/^mydocker: ./)]);
      expect((await engine.call(states)).out).toBe(before.out);
    });
  }
});

testIf(requirements, "all of it is removed", async () => {
  await both("rm", "-f", ...NAMES);
  await both("volume", "rm", "stock");
  await dockerd.stop();
});

leavesNothingBehind(engine);
