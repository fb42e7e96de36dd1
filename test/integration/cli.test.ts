/** The command line of the compiled executable: what only a process of its own can show. */

import { afterAll, describe, expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { Engine, EXECUTABLE } from "../helpers/cli.ts";
import { root, testIf } from "../helpers/requires.ts";

const engine = new Engine();
afterAll(() => engine.remove());

describe("version", () => {
  test("says what was built", async () => {
    const { out, err, exitCode } = await engine.call(["version"]);
    expect(out).toMatch(/^mydocker:\n Version: +\d+\.\d+\.\d+\n Git commit: +\S+\n Built: +\S+\n/);
    expect(err).toBe("");
    expect(exitCode).toBe(0);
  });

  test("as JSON and by a template is the same", async () => {
    const json = JSON.parse((await engine.call(["version", "--format", "json"])).out);
    expect(json.Client.BunVersion).toBe(Bun.version);
    const template = await engine.call(["version", "-f", "{{.Client.Version}}"]);
    expect(template.out).toBe(json.Client.Version);
  });
});

test("without a command it shows its usage", async () => {
  const { out, exitCode } = await engine.call([]);
  expect(out).toContain("USAGE mydocker [OPTIONS] run|");
  expect(exitCode).toBe(0);
});

test("arguments that are not UTF-8 arrive as the bytes they are", async () => {
  const { err, exitCode } = await engine.bash(`"$MYDOCKER" run --name $'x\\xff\\xc3\\xa9' sh`);
  expect(err).toContain('invalid argument "x\\xffé" for "--name" flag');
  expect(exitCode).toBe(125);
});

test("a reader that leaves early is no error", async () => {
  const script = `"$MYDOCKER" completion bash | true; echo "\${PIPESTATUS[0]}"`;
  const { out, err } = await engine.bash(script);
  expect(out).toBe("0");
  expect(err).toBe("");
});

test("a full disk is an error", async () => {
  const { err, exitCode } = await engine.bash(`"$MYDOCKER" version > /dev/full`);
  expect(err).toContain("mydocker: cannot write to stdout: ENOSPC");
  expect(exitCode).toBe(1);
});

test("output goes behind what a file has already", async () => {
  const { out } = await engine.bash(
    `(echo first; "$MYDOCKER" --version; echo last) > f; grep -c . f; tail -1 f`,
  );
  expect(out).toBe("3\nlast");
});

test("a .env file and a bunfig.toml where it is called are not read", async () => {
  const cwd = engine.directory("env");
  await Bun.write(join(cwd, ".env"), "MYDOCKER_ROOT=/evil\nNO_SUCH_NAME=evil\n");
  await Bun.write(join(cwd, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  await Bun.write(join(cwd, "evil.ts"), 'console.log("evil");\n');
  expect((await engine.call(["version"], { cwd })).out).not.toContain("evil");
});

test("under a name that ends in -oci it is the other command line", async () => {
  const link = join(engine.directory("bin"), "mydocker-oci");
  symlinkSync(EXECUTABLE, link);
  const { err, exitCode } = await engine.bash(`"${link}" version`);
  expect(err).toBe('mydocker-oci: error: unknown command "version"');
  expect(exitCode).toBe(1);
});

testIf([root()], "whoever is not root is told so", async () => {
  // By descriptor: the folder that it is in may be closed to others.
  const script = `setpriv --reuid 65534 --regid 65534 --clear-groups /proc/self/fd/9 run sh 9<"$MYDOCKER"`;
  const { err, exitCode } = await engine.bash(script);
  expect(err).toBe("mydocker: mydocker run needs root: start it with sudo");
  expect(exitCode).toBe(125);
});

testIf([root()], "--debug shows kernel calls, decoded, and the chain of causes", async () => {
  const { err, exitCode } = await engine.call(["--debug", "import", "/nonexistent/x.tar"]);
  expect(err).toMatch(
    /^mydocker: debug: open \/nonexistent\/x.tar.* = ENOENT: no such file or directory$/m,
  );
  expect(err).toContain("mydocker: open /nonexistent/x.tar: no such file or directory");
  expect(err).toMatch(/^mydocker: debug: caused by SysError: open \/nonexistent\/x.tar/m);
  expect(exitCode).toBe(1);
});

testIf([root()], "one that does not exist harms no other of rm's arguments", async () => {
  const { out, err, exitCode } = await engine.call(["rm", "nobody", "none"]);
  expect(out).toBe("");
  expect(err.split("\n")).toEqual([
    "mydocker: No such container: nobody",
    "mydocker: No such container: none",
  ]);
  expect(exitCode).toBe(1);
});

testIf(
  [root()],
  "one that does not exist is told, but no failure with -f, as in Docker",
  async () => {
    for (const [verb, message] of [
      ["rm", "mydocker: No such container: nobody"],
      ["rmi", "mydocker: No such image: nobody:latest"],
    ] as const) {
      const { out, err, exitCode } = await engine.call([verb, "-f", "nobody"]);
      expect([exitCode, out, err]).toEqual([0, "", message]);
      expect((await engine.call([verb, "nobody"])).exitCode).toBe(1);
    }
  },
);

testIf([root()], "info says what this machine has", async () => {
  const { out } = await engine.call(["info", "--format", "{{.NCPU}} {{.DockerRootDir}}"]);
  expect(out).toBe(`${navigator.hardwareConcurrency} ${engine.root}`);
});

describe("help", () => {
  test("of a command is what its --help says", async () => {
    const { out, exitCode } = await engine.call(["help", "run"]);
    expect([exitCode, out]).toEqual([0, (await engine.call(["run", "--help"])).out]);
    expect((await engine.call(["help", "image", "ls"])).out).toContain("USAGE mydocker images");
    expect((await engine.call(["help", "container"])).out).toContain("rm");
  });

  test("alone is what --help says", async () => {
    expect((await engine.call(["help"])).out).toBe((await engine.call(["--help"])).out);
  });
});

test("an error with a way out is one line", async () => {
  const { err, exitCode } = await engine.call(["run", "--frob"]);
  expect([exitCode, err]).toEqual([
    125,
    "mydocker: unknown flag: --frob. See 'mydocker run --help'.",
  ]);
});

test("completion fails alike without a shell and for one that it does not know", async () => {
  expect((await engine.call(["completion"])).exitCode).toBe(1);
  expect((await engine.call(["completion", "foo"])).exitCode).toBe(1);
});

describe("a file that is none", () => {
  testIf([root()], "but a directory is one line that names it", async () => {
    for (const [args, code] of [
      [["run", "--rm", "--env-file", engine.folder, "busybox"], 125],
      [["run", "--rm", "--label-file", engine.folder, "busybox"], 125],
      [["import", engine.folder], 1],
    ] as const) {
      const { err, exitCode } = await engine.call(args);
      expect(exitCode).toBe(code);
      expect(err).toStartWith(`mydocker: open ${engine.folder}: is a directory`);
      expect(err).not.toContain("\n");
    }
  });

  testIf([root()], "but a process substitution is read", async () => {
    const { out, err } = await engine.bash(
      `"$MYDOCKER" run --rm --env-file <(sleep 0.1; echo FROM=fifo) busybox sh -c 'echo $FROM'
      tar -C /etc -c hostname | "$MYDOCKER" import /dev/stdin piped >/dev/null
      "$MYDOCKER" import <(sleep 0.1; tar -C /etc -c hostname) substituted >/dev/null
      "$MYDOCKER" images --format '{{.Repository}}'
      "$MYDOCKER" rmi -f piped substituted >/dev/null`,
    );
    expect(err).toBe("");
    expect(out.split("\n").sort()).toEqual(["busybox", "fifo", "piped", "substituted"]);
  });

  testIf([root()], "but a FIFO that nobody writes to waits until Ctrl-C", async () => {
    const fifo = join(engine.folder, "fifo");
    Bun.spawnSync(["mkfifo", fifo]);
    for (const args of [
      ["run", "--rm", "--env-file", fifo, "busybox"],
      ["import", fifo],
    ]) {
      const running = engine.start(args);
      await Bun.sleep(100);
      running.kill("SIGINT");
      expect((await running.end()).signal).toBe("SIGINT");
    }
  });
});

testIf(
  [root()],
  "a --rootfs with line feeds and bytes that are no UTF-8 stays one line of ps, and valid JSON",
  async () => {
    await engine.run(["busybox", "true"]); // unpacks it
    const { out } = await engine.bash(`
      cp -a "$MYDOCKER_ROOT"/images/layers/*/diff tree
      mv tree $'odd\\n\\e[31m\\xff'
      "$MYDOCKER" run --name odd --rootfs $'odd\\n\\e[31m\\xff' /bin/true
      for format in '{{.Image}}' 'table {{.Image}}' json; do "$MYDOCKER" ps -a --format "$format"; done
      "$MYDOCKER" rm odd`);
    const lines = out.split("\n");
    const shown = `${engine.folder}/odd\\n\\x1b[31m\\xff`;
    expect(lines).toHaveLength(5);
    expect(lines.slice(0, 3)).toEqual([shown, "IMAGE", shown]);
    expect(JSON.parse(lines[3] as string).Image).toBe(`${engine.folder}/odd\n\u001b[31m\ufffd`);
    expect(lines[3]).not.toContain("\\ud");
  },
);
