/** What a person reads when something does not work: one line that names the culprit. */

import { beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";

const engine = useEngine();
const folder = engine.directory("commands");

/** A small ELF header (elf(5)): 64 bits, little-endian, for a machine. */
function elf(machine: number): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  new DataView(bytes.buffer).setUint16(16, 2, true);
  new DataView(bytes.buffer).setUint16(18, machine, true);
  return bytes;
}

/** The machine that this one is not. */
const [FOREIGN, FOREIGN_NAME, OWN_NAME] =
  process.arch === "arm64" ? [62, "x86-64", "arm64"] : [183, "arm64", "x86-64"];

beforeAll(() => {
  const files: Record<string, string | Uint8Array> = {
    "bad-shebang": "#!/no/such/interpreter\necho hi\n",
    crlf: "#!/bin/sh\r\necho hi\r\n",
    "no-shebang": "echo hi\n",
    foreign: elf(FOREIGN as number),
    truncated: elf(process.arch === "arm64" ? 183 : 62),
    plain: "#!/bin/sh\necho hi\n",
    empty: "",
    good: "#!/bin/sh\necho good $1\n",
    "shebang-argument": "#!/bin/cat -n\nline\n",
  };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), content);
    chmodSync(join(folder, name), name === "plain" ? 0o644 : 0o755);
  }
  // Any program of the host that is linked against its libc.
  copyFileSync("/bin/ls", join(folder, "dynamic"));
});

const start = (name: string, ...args: string[]) =>
  engine.run(["-v", `${folder}:/x:ro`, "busybox", name, ...args]);

describe("a command that does not start", () => {
  test.each([
    ["/x/missing", 127, /\/x\/missing: no such file or directory/],
    ["missing", 127, /"missing": executable file not found in \$PATH/],
    ["/x/plain", 126, /\/x\/plain: permission denied: not executable/],
    ["/x", 126, /\/x: is a directory/],
    ["/x/bad-shebang", 126, /\/x\/bad-shebang: bad interpreter: \/no\/such\/interpreter/],
    ["/x/crlf", 126, /\/x\/crlf: bad interpreter .*CRLF/],
    ["/x/foreign", 126, new RegExp(`/x/foreign: wrong architecture.*${FOREIGN_NAME}.*${OWN_NAME}`)],
    ["/x/dynamic", 126, /\/x\/dynamic: missing ELF interpreter \/lib\S*ld-linux\S*/],
    ["/x/no-shebang", 126, /\/x\/no-shebang: exec format error/],
    ["/x/empty", 126, /\/x\/empty: exec format error/],
    ["/x/truncated", 126, /\/x\/truncated/],
    ["/etc/passwd/x", 127, /\/etc\/passwd\/x/],
    ["", 127, /empty/],
  ] as const)("%j is said to be so", async (command, code, message) => {
    const { exitCode, out, err } = await start(command);
    expect([exitCode, out]).toEqual([code, ""]);
    expect(err).toMatch(message);
    expect(err).toStartWith("mydocker: ");
    expect(err.split("\n")).toHaveLength(1);
  });

  test("is found by its name in PATH, and one that is not executable is named", async () => {
    const run = (name: string) =>
      engine.run(["-v", `${folder}:/x:ro`, "-e", "PATH=/x", "busybox", name, "morning"]);
    expect((await run("good")).exitCode).toBe(0);
    expect((await run("good")).out).toBe("good morning");
    const { exitCode, err } = await run("plain");
    expect(exitCode).toBe(126);
    expect(err).toMatch(/\/x\/plain: permission denied/);
  });

  test("with an argument in its shebang line works", async () => {
    expect((await start("/x/shebang-argument")).out).toMatch(/1\s+#!\/bin\/cat -n/);
  });

  test("that leads to mydocker itself is refused", async () => {
    const script = join(folder, "own");
    writeFileSync(script, "#!/proc/self/exe\n", { mode: 0o755 });
    for (const command of ["/proc/self/exe", "/proc/1/exe", "/x/own"]) {
      const { exitCode, err } = await engine.run(["-v", `${folder}:/x`, "busybox", command]);
      expect(exitCode).toBe(126);
      expect(err).toContain("it leads to mydocker itself");
    }
  });

  test("as another user is told from one that is not there", async () => {
    const { exitCode, err } = await engine.run([
      "-u",
      "nobody",
      "-v",
      `${folder}:/root/x`,
      "busybox",
      "/root/x/good",
    ]);
    expect(exitCode).toBe(126);
    expect(err).toContain("permission denied");
  });
});

describe("an error", () => {
  test("begins with our name, goes to stderr alone, and leaves no container", async () => {
    for (const args of [
      ["run", "nosuch"],
      ["run", "--nosuch"],
      ["run", "busybox", "nosuch"],
      ["nosuch"],
      ["rmi", "nosuch"],
      ["import", "/no/such"],
    ]) {
      const { exitCode, out, err } = await engine.call(args);
      expect([args, out]).toEqual([args, ""]);
      expect(exitCode).not.toBe(0);
      expect(err).toStartWith("mydocker: ");
      expect(err).not.toMatch(/\bat .*:\d+|\bundefined\b|\[object/);
    }
    const left = (await engine.call(["ps", "-aq"])).out.split("\n").filter(Boolean);
    // As with docker, a container whose command was not found stays until it is removed, if not --rm.
    for (const id of left) expect((await engine.call(["rm", id])).exitCode).toBe(0);
    expect(left.length).toBeLessThanOrEqual(1);
  });

  test("of a flag says which, and where the help is", async () => {
    const { exitCode, err } = await engine.call(["run", "--memroy", "64m", "busybox"]);
    expect(exitCode).toBe(125);
    expect(err).toContain("--memroy");
    expect(err).toContain("--help");
  });

  test("of the state directory names it", async () => {
    const { exitCode, err } = await engine.run(["busybox", "true"], {
      env: { MYDOCKER_ROOT: "/proc/nowhere" },
    });
    expect(exitCode).toBe(125);
    expect(err).toContain("/proc/nowhere");
  });

  test("shows its causes with --debug", async () => {
    const { err } = await engine.call([
      "--debug",
      "run",
      "--rm",
      "-v",
      `${folder}:/x:ro`,
      "busybox",
      "/x/crlf",
    ]);
    // Not the whole of it in the report of a failure: it is long.
    const has = (pattern: RegExp) => pattern.test(err);
    expect(has(/^mydocker: debug: clone \(.*CLONE_NEWPID.*\) = \d+$/m)).toBe(true);
    expect(has(/^mydocker: debug: pivot_root /m)).toBe(true);
    expect(has(/^mydocker: debug: execve \/x\/crlf.* = ENOENT: no such file or directory$/m)).toBe(
      true,
    );
    expect(has(/^mydocker: exec \/x\/crlf: bad interpreter/m)).toBe(true);
  });
});

leavesNothingBehind(engine);
