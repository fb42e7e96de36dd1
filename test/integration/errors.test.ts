/** What a person reads when something does not work: one line that names the culprit. */

import { beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { immutableFiles, program, testIf } from "../helpers/requires.ts";

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
    ["/x", 126, /\/x: permission denied: is a directory/],
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
      ["run", "--pull", "never", "nosuch"],
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
    expect(has(/^mydocker: debug: memfd_create command = \d+$/m)).toBe(true);
    expect(has(/^mydocker: exec \/x\/crlf: bad interpreter/m)).toBe(true);
  });
});

describe("limits", () => {
  test("of descriptors that init itself could not live with are the command's", async () => {
    const script = "ulimit -Sn; ulimit -Hn; grep open /proc/1/limits";
    for (const options of [
      ["--ulimit", "nofile=3:5"],
      ["--ulimit", "nofile=3:5", "-u", "nobody"],
    ])
      expect(
        (await engine.run([...options, "busybox", "sh", "-c", `ulimit -Sn; ulimit -Hn`])).out,
      ).toBe("3\n5");
    const reaped = await engine.run([
      "--init",
      "--ulimit",
      "nofile=4",
      "busybox",
      "sh",
      "-c",
      script,
    ]);
    expect(reaped.out).toStartWith("4\n4\n");
  });

  test("of descriptors do not hide why a command does not start", async () => {
    const { err } = await engine.run(
      ["--ulimit", "nofile=3", "-v", `${folder}:/x:ro`, "busybox"].concat("/x/bad-shebang"),
    );
    expect(err).toContain("bad interpreter: /no/such/interpreter");
  });

  testIf(
    [program("capsh")],
    "that may not be raised are said with the one that we have",
    async () => {
      const { exitCode, err } = await engine.bash(
        `ulimit -l 64; exec capsh --drop=cap_sys_resource -- -c '"$MYDOCKER" run --rm --ulimit memlock=unlimited busybox true'`,
      );
      expect(err).toBe(
        "mydocker: cannot set RLIMIT_MEMLOCK to unlimited: operation not permitted: mydocker itself may have no more than 65536, and lacks CAP_SYS_RESOURCE to raise it",
      );
      expect(exitCode).toBe(125);
    },
  );

  test.each(["as", "data"])(
    "of memory (%s) that no program fits into are named when it dies of them",
    async (limit) => {
      const { exitCode, err } = await engine.run(["--ulimit", `${limit}=1`, "busybox", "true"]);
      expect(exitCode).toBe(139);
      expect(err).toBe(
        `mydocker: warning: the command was ended by SIGSEGV: its limit ${limit}=1 may be too low to start with`,
      );
    },
  );

  test.each([10, 14, 20])("of the caller (ulimit -n %i) are named in one line", async (limit) => {
    const { exitCode, err } = await engine.bash(
      `ulimit -n ${limit}; "$MYDOCKER" run --rm busybox true`,
    );
    expect(err).toBe(
      `mydocker: too many open files: the limit is ${limit} (ulimit -n), which is too low to start a container with`,
    );
    expect(exitCode).toBe(125);
  });
});

test("a descriptor of ours is no working directory, whatever its number (CVE-2024-21626)", async () => {
  for (let fd = 3; fd < 64; fd++) {
    const cwd = `/proc/self/fd/${fd}`;
    const { exitCode, out, err } = await engine.run(["-w", cwd, "busybox", "ls", "../../.."]);
    expect([exitCode, out]).toEqual([exitCode === 127 ? 127 : 126, ""]);
    expect(err).toStartWith(`mydocker: working directory ${cwd}`);
  }
}, 60_000);

test.each([
  ["ASCII", Buffer.from("x")],
  ["two bytes a character", Buffer.from("ü")],
  ["four bytes a character", Buffer.from("😀")],
  ["not UTF-8", Buffer.from([0xff])],
])("an error that is longer than a message of init's is cut (%s)", async (_, unit) => {
  const script = `"$MYDOCKER" run --rm busybox "/$(cat)"`;
  const { exitCode, err } = await engine.bash(script, {
    stdin: Buffer.concat(Array.from({ length: 100_000 / unit.length }, () => unit)),
  });
  expect(exitCode).toBe(126);
  expect(err).toStartWith("mydocker: exec /");
  expect(err).toEndWith("…");
  expect(err).not.toContain("\ufffd");
});

test("a clean-up that fails does not hide the command's exit code", async () => {
  const running = engine.start(
    ["run", "--rm", "-i", "busybox", "sh", "-c"].concat("mkdir /d; echo ready; read x; exit 7"),
  );
  await running.waitForOutput(/ready/);
  const [directory] = new Bun.Glob("containers/*/upper/d").scanSync({
    cwd: engine.root,
    onlyFiles: false,
    absolute: true,
  });
  expect((await engine.bash(`mount -t tmpfs none ${directory}`)).exitCode).toBe(0);
  running.stdin.write("\n");
  const { exitCode, err } = await running.end();
  expect((await engine.bash(`umount ${directory}`)).exitCode).toBe(0);
  expect(err).toMatch(
    /^mydocker: warning: the container could not be cleaned up: .*resource busy$/,
  );
  expect(exitCode).toBe(7);
  const { out } = await engine.call(["ps", "-aq"]);
  expect((await engine.call(["rm", out])).exitCode).toBe(0);
});

testIf([immutableFiles()], "an immutable file is said to be what cannot be removed", async () => {
  const running = engine.start(
    ["run", "--rm", "-i", "busybox", "sh", "-c"].concat("echo >/file; echo ready; read x"),
  );
  await running.waitForOutput(/ready/);
  const [file = ""] = new Bun.Glob("containers/*/upper/file").scanSync({
    cwd: engine.root,
    absolute: true,
  });
  const { exitCode } = await engine.bash(`chattr +i ${file}`);
  running.stdin.write("\n");
  const { err } = await running.end();
  expect(exitCode).toBe(0);
  await engine.bash(`chattr -i ${file}`);
  expect(err).toContain("unlink file: EPERM");
  const { out } = await engine.call(["ps", "-aq"]);
  expect((await engine.call(["rm", out])).exitCode).toBe(0);
});

leavesNothingBehind(engine);
