/** `inspect --run`: the line that it prints makes the same container again. */

import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";

const engine = useEngine({
  before: async () => {
    for (const call of ["create", "rm"]) await engine.call(["volume", call, "first"]);
  },
});

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

/** Ids, times and names that are each container's own. */
async function lasting(name: string): Promise<object> {
  const [found] = JSON.parse(await ok("inspect", name));
  const text = JSON.stringify(found, (key, value) =>
    ["Created", "StartedAt", "FinishedAt", "Pid", "Health"].includes(key) ? undefined : value,
  );
  return JSON.parse(text.replaceAll(found.Id, "ID").replaceAll(found.Id.slice(0, 12), "ID"));
}

/** Runs the line that is printed, when the container it is of has been removed. */
async function again(name: string): Promise<object> {
  const line = await ok("inspect", "--run", name);
  expect(line.split("\n")).toHaveLength(1);
  await ok("rm", "-f", name);
  const { exitCode, err } = await engine.bash('mydocker() { "$MYDOCKER" "$@"; }; eval "$1"', {
    args: [line],
  });
  expect([line, exitCode, err]).toEqual([line, 0, ""]);
  return await lasting(name);
}

const every: readonly string[] = [
  ...["--annotation", "a.b=c d", "--log-opt", "tag={{.Name}} x", "--log-opt", "labels=a"],
  ...["--cap-add", "NET_ADMIN", "--cap-drop", "MKNOD", "--cgroupns", "private", "--cpus", "0.5"],
  ...["--cpu-shares", "512", "--cpuset-cpus", "0", "--device", "/dev/null:/dev/nil:r"],
  ...["--device-cgroup-rule", "c 1:* rw", "--domainname", "example.org", "--entrypoint", "sleep"],
  ...["-e", "A=it's $HOME", "-e", "B=two\nlines \u001b[0m", "-e", "PATH", "--group-add", "5"],
  ...["-h", "host", "--init", "-i", "--ipc", "host", "-l", 'a="b" c', "-m", "64m"],
  ...["--log-opt", "max-size=1m", "--log-opt", "max-file=3", "--memory-reservation", "32m"],
  ...["--network", "none", "--oom-score-adj", "7", "--pid", "host", "--pids-limit", "50"],
  ...["--read-only", "--restart", "on-failure:3", "--security-opt", "no-new-privileges"],
  ...["--security-opt", "systempaths=unconfined", "--shm-size", "2m", "--stop-signal", "INT"],
  ...["--stop-timeout", "2", "--tmpfs", "/t:size=1m,mode=700", "--ulimit", "core=-1"],
  ...[
    "--ulimit",
    "nofile=100:200",
    "-u",
    "1:1",
    "-v",
    "/tmp:/host:ro,rslave",
    "--mount",
    "type=bind,src=/tmp,dst=/below,ro,bind-recursive=writable",
    "-v",
    "/tmp:/mapped:idmap",
    "-v",
    "stock:/stock",
  ],
  ...["-w", "/tmp", "--health-cmd", "test -e 'x y'", "--health-interval", "1h30s"],
  ...["--health-retries", "2"],
];

test("a container with an option of each kind", async () => {
  const odd = join(engine.directory("odd"), 'a,"b" c');
  mkdirSync(odd);
  const profile = join(engine.directory("seccomp"), "it's.json");
  writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", comment: "it's" }));
  await ok(
    ...["run", "-d", "--name", "full", ...every, "--security-opt", `seccomp=${profile}`],
    ...["--mount", `type=bind,"source=${odd.replaceAll('"', '""')}",target=/odd,readonly`],
    ...["--mount", "type=volume,source=stock2,target=/stock2,volume-nocopy,volume-label=x=y"],
    ...["busybox", "1000"],
  );
  const before = await lasting("full");
  expect(await again("full")).toEqual(before);
  await ok("rm", "-f", "full");
  await ok("volume", "rm", "stock", "stock2");
});

test("a plain one, renamed and changed since, with a terminal, or a directory as its root", async () => {
  await ok("run", "-d", "-t", "--name", "old", "--label", "x", "busybox", "sleep", "1000");
  await ok("rename", "old", "plain");
  await ok("update", "--memory", "32m", "--restart", "always", "plain");
  const before = await lasting("plain");
  expect(await ok("inspect", "--run", "plain")).toContain(
    "--name plain --tty --label x= --network",
  );
  expect(await again("plain")).toEqual(before);
  await ok("rm", "-f", "plain");

  await ok("create", "--name", "giver", "-v", "/data", "busybox", "true");
  await ok(
    "run",
    "-d",
    "--name",
    "taker",
    "--volumes-from",
    "giver:ro",
    "busybox",
    "sleep",
    "1000",
  );
  const taken = await lasting("taker");
  expect(await again("taker")).toEqual(taken);
  await ok("rm", "-f", "-v", "taker", "giver");
});

test("of several, a line each; of none, an error", async () => {
  for (const name of ["one", "two"]) await ok("create", "--name", name, "busybox", "echo", "a b");
  const { exitCode, out, err } = await engine.call(["inspect", "--run", "one", "nobody", "two"]);
  expect([exitCode, err]).toEqual([1, "mydocker: No such container: nobody"]);
  expect(out.split("\n").map((line) => line.replace(/--network \w+ /, ""))).toEqual([
    "mydocker run -d --name one busybox echo 'a b'",
    "mydocker run -d --name two busybox echo 'a b'",
  ]);
  await ok("rm", "one", "two");
});

leavesNothingBehind(engine);
