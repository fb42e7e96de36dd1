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
  expect(err).toBe("mydocker: the OCI runtime's commands are not part of this version");
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

testIf([root()], "info says what this machine has", async () => {
  const { out } = await engine.call(["info", "--format", "{{.NCPU}} {{.DockerRootDir}}"]);
  expect(out).toBe(`${navigator.hardwareConcurrency} ${engine.root}`);
});
