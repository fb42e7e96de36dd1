/** `mydocker run`: what is run, in which image, and what stays of it. */

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Engine, EXECUTABLE, leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { program, testIf } from "../helpers/requires.ts";

const engine = useEngine();

describe("the first positional", () => {
  test("is a local image", async () => {
    expect(await engine.run(["busybox", "echo", "in", "it"])).toMatchObject({
      exitCode: 0,
      out: "in it",
      err: "",
    });
    expect((await engine.run(["busybox:latest", "echo", "tagged"])).out).toBe("tagged");
  });

  test("is else a command of the default image", async () => {
    expect((await engine.run(["sh", "-c", "echo $0 $1", "a", "b"])).out).toBe("a b");
    expect((await engine.run(["cat", "/etc/passwd"])).out).toStartWith("root:x:0:0:");
  });

  test("is else an image that is not here, said with the way out", async () => {
    const { exitCode, out, err } = await engine.run(["--pull", "never", "no-such-image", "true"]);
    expect(exitCode).toBe(125);
    expect(out).toBe("");
    expect(err).toMatch(/^mydocker: .*no-such-image/);
    expect(err).toContain("mydocker pull");
  });

  test("may be left out: the default image's own command runs", async () => {
    expect((await engine.run(["-i"], { stdin: "echo from the shell\n" })).out).toBe(
      "from the shell",
    );
  });
});

test("options end at the image: what follows is the command's", async () => {
  const { out } = await engine.run(["busybox", "echo", "-d", "--rm", "--", "-it"]);
  expect(out).toBe("-d --rm -- -it");
});

test("pid 1 is the command, and ps shows no process of the host", async () => {
  const { out } = await engine.run([
    "busybox",
    "sh",
    "-c",
    "tr '\\0' ' ' </proc/1/cmdline; echo; ls -d /proc/[0-9]*; ps; true",
  ]);
  const [cmdline, ...rest] = out.split("\n");
  expect(cmdline).toStartWith("sh -c tr");
  expect(rest.filter((line) => line.startsWith("/proc/")).length).toBeLessThanOrEqual(2);
  const ps = rest.filter((line) => /^ *\d+ /.test(line));
  expect(ps).toHaveLength(2);
  expect(ps[0]).toMatch(/^ *1 root/);
});

test("writes are gone after --rm, and no container is left", async () => {
  const before = (await engine.call(["ps", "-aq"])).out;
  expect((await engine.run(["busybox", "sh", "-c", "echo x >/kept && cat /kept"])).out).toBe("x");
  expect((await engine.run(["busybox", "ls", "/kept"])).exitCode).toBe(1);
  expect((await engine.call(["ps", "-aq"])).out).toBe(before);
  expect(readdirSync(join(engine.root, "containers"))).toEqual([]);
});

test("without --rm it stays, named, with its exit code, until it is removed", async () => {
  expect(
    (await engine.call(["run", "--name", "stays", "busybox", "sh", "-c", "exit 7"])).exitCode,
  ).toBe(7);
  const { out } = await engine.call(["ps", "-a", "--format", "{{.Names}}|{{.Status}}|{{.Image}}"]);
  expect(out).toMatch(/^stays\|Exited \(7\) .*\|busybox$/);
  expect((await engine.call(["ps", "-q"])).out).toBe("");
  const again = await engine.call(["run", "--name", "stays", "busybox", "true"]);
  expect(again.exitCode).toBe(125);
  expect(again.err).toContain("stays");
  expect((await engine.call(["rm", "stays"])).out).toBe("stays");
  expect((await engine.call(["ps", "-aq"])).out).toBe("");
});

test("a container that runs is listed, and rm -f ends it", async () => {
  const running = engine.start([
    "run",
    "--name",
    "busy",
    "busybox",
    "sh",
    "-c",
    "echo ready; sleep 60",
  ]);
  await running.waitForOutput(/ready/);
  expect((await engine.call(["ps", "--format", "{{.Names}} {{.Status}}"])).out).toMatch(
    /^busy Up /,
  );
  const refused = await engine.call(["rm", "busy"]);
  expect(refused.exitCode).toBe(1);
  expect(refused.err).toContain("busy");
  expect((await engine.call(["rm", "-f", "busy"])).exitCode).toBe(0);
  expect((await running.end()).exitCode).toBe(137);
  expect((await engine.call(["ps", "-aq"])).out).toBe("");
});

describe("--entrypoint", () => {
  test("comes before the arguments", async () => {
    expect((await engine.run(["--entrypoint", "/bin/echo", "busybox", "-n", "a"])).out).toBe("a");
  });

  test("clears the image's command", async () => {
    expect((await engine.run(["--entrypoint", "echo", "busybox"])).out).toBe("");
  });
});

describe("--rootfs", () => {
  test("runs in a directory of the host, which is not changed", async () => {
    const folder = engine.directory("rootfs");
    const unpack = await engine.bash(
      `"$MYDOCKER" run --rm -v '${folder}:/out' busybox sh -c 'cp -a /bin /etc /out'`,
    );
    expect(unpack).toMatchObject({ exitCode: 0, err: "" });
    writeFileSync(join(folder, "mark"), "host");
    const { out } = await engine.run([
      "--rootfs",
      folder,
      "sh",
      "-c",
      "cat /mark; echo changed >/mark; rm /etc/passwd; cat /mark",
    ]);
    expect(out).toBe("hostchanged");
    expect(readFileSync(join(folder, "mark"), "utf8")).toBe("host");
    expect(existsSync(join(folder, "etc/passwd"))).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(["bin", "etc", "mark"]);
  });

  test("that is not there is an error", async () => {
    const { exitCode, err } = await engine.run(["--rootfs", "/no/such/folder", "sh"]);
    expect(exitCode).toBe(125);
    expect(err).toContain("/no/such/folder");
  });
});

test("labels are kept", async () => {
  await engine.call([
    "run",
    "--name",
    "one",
    "-l",
    "tier=web",
    "--label",
    "empty",
    "busybox",
    "true",
  ]);
  const { out } = await engine.call(["ps", "-a", "--format", "{{.Names}} {{.Labels}}"]);
  expect((await engine.call(["rm", "one"])).exitCode).toBe(0);
  expect(out).toBe("one empty=,tier=web");
});

test("--cidfile holds the id, and is not overwritten", async () => {
  const file = join(engine.directory("cid"), "id");
  const { out } = await engine.run(["--cidfile", file, "busybox", "hostname"]);
  expect(readFileSync(file, "utf8")).toMatch(/^[0-9a-f]{64}$/);
  expect(readFileSync(file, "utf8")).toStartWith(out);
  expect((await engine.run(["--cidfile", file, "busybox", "true"])).exitCode).toBe(125);
});

test("names are made up as adjective_surname, and differ", async () => {
  for (let i = 0; i < 3; i++) await engine.call(["run", "busybox", "true"]);
  const names = (await engine.call(["ps", "-a", "--format", "{{.Names}}"])).out.split("\n");
  expect(names).toHaveLength(3);
  for (const name of names) expect(name).toMatch(/^[a-z]+_[a-z]+\d*$/);
  expect(new Set(names).size).toBe(3);
  const ids = (await engine.call(["ps", "-aq"])).out.split("\n");
  expect((await engine.call(["rm", ...ids])).exitCode).toBe(0);
});

testIf([program("unshare")], "the first run needs no network and no other program", async () => {
  const fresh = new Engine();
  try {
    const { exitCode, out, err } = await fresh.bash(
      `exec unshare -n env -i PATH=/nonexistent MYDOCKER_ROOT="$MYDOCKER_ROOT" MYDOCKER_RUN="$MYDOCKER_RUN" "${EXECUTABLE}" run --rm busybox echo offline`,
    );
    expect({ exitCode, out, err }).toEqual({ exitCode: 0, out: "offline", err: "" });
  } finally {
    fresh.remove();
  }
});

leavesNothingBehind(engine);
