/** Arguments, environment and file names are bytes: whatever they are, they arrive as given. */

import { describe, expect, test } from "bun:test";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";

const engine = useEngine();

/** Prints each argument's bytes in hexadecimal, one a line. */
const DUMP = `for a; do printf %s "$a" | od -An -v -tx1 | tr -d ' \\n'; echo; done`;
/** The same for one variable. */
const hex = (text: string | Buffer) => Buffer.from(text).toString("hex");

/** A string of bytes as bash writes it: $'\xff…'. */
const quoted = (bytes: Buffer) =>
  `$'${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}'`;

describe("arguments", () => {
  test("arrive one by one, with spaces, quotes, newlines and nothing at all", async () => {
    const args = [
      "",
      " ",
      "a b",
      "'",
      '"',
      "\\",
      "$HOME",
      "`id`",
      "*",
      "line\nbreak\n",
      "\t",
      "-x",
      "--",
      "ünï 世界",
      "; ls",
      "\r\n",
      "{}",
      "%s",
      "!",
    ];
    const { out } = await engine.run(["busybox", "sh", "-c", DUMP, "sh", ...args]);
    expect(out.split("\n")).toEqual(args.map(hex));
  });

  test("arrive as bytes when they are not UTF-8", async () => {
    const all = Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1));
    const args = [
      all,
      Buffer.from([0xff]),
      Buffer.from([0xc3]),
      Buffer.from("f\xfcr", "latin1"),
      Buffer.from([0xed, 0xb2, 0x80]),
    ];
    const { stdout, err } = await engine.bash(
      `"$MYDOCKER" run --rm busybox sh -c '${DUMP.replaceAll("'", "'\\''")}' sh ${args.map(quoted).join(" ")}`,
    );
    expect(err).toBe("");
    expect(stdout.toString().trimEnd().split("\n")).toEqual(
      args.map((bytes) => bytes.toString("hex")),
    );
  });

  test("are in /proc/1/cmdline as given", async () => {
    const { stdout } = await engine.run(["busybox", "cat", "/proc/self/cmdline", "/dev/null"]);
    expect(stdout.toString()).toBe("cat\0/proc/self/cmdline\0/dev/null\0");
  });

  test("may be long, and many", async () => {
    const long = "x".repeat(131_000);
    expect((await engine.run(["busybox", "sh", "-c", "echo ${#1}", "sh", long])).out).toBe(
      "131000",
    );
    const many = Array.from({ length: 5000 }, (_, i) => `${i}`);
    expect(
      (await engine.run(["busybox", "sh", "-c", "echo $# $5000", "sh", ...many])).out,
    ).toStartWith("5000 ");
  });
});

describe("the environment", () => {
  test("passes newlines, quotes and bytes that are not UTF-8", async () => {
    const value = Buffer.from("a b\n'\"\\$x=\xff\xfe", "latin1");
    const { stdout } = await engine.bash(
      `"$MYDOCKER" run --rm -e V=${quoted(value)} busybox sh -c 'printf %s "$V" | od -An -v -tx1 | tr -d " \\n"'`,
    );
    expect(stdout.toString()).toBe(value.toString("hex"));
  });

  test("passes such bytes on from the caller, and from a file", async () => {
    const value = Buffer.from("caller \xe9\xff", "latin1");
    const dump = `sh -c 'printf %s "$V" | od -An -v -tx1 | tr -d " \\n"'`;
    const passed = await engine.bash(
      `export V=${quoted(value)}; "$MYDOCKER" run --rm -e V busybox ${dump}`,
    );
    expect(passed.out).toBe(value.toString("hex"));
    const file = await engine.bash(
      `printf 'V=%s\\n' ${quoted(value)} >vars; "$MYDOCKER" run --rm --env-file vars busybox ${dump}`,
    );
    expect(file.out).toBe(value.toString("hex"));
  });

  test("is not read by a shell", async () => {
    const { out } = await engine.run([
      "-e",
      "V=$(id); `id` ${HOME}",
      "busybox",
      "sh",
      "-c",
      'echo "$V"',
    ]);
    expect(out).toBe("V=$(id); `id` ${HOME}".slice(2));
  });
});

describe("file names", () => {
  const name = Buffer.from("dir with 'quotes'\nand \xff\xfe bytes", "latin1");

  test("of volumes, targets and working directories may be any bytes", async () => {
    const script = `
      d="$PWD/"${quoted(name)}; mkdir -p "$d"; echo content >"$d/file"
      "$MYDOCKER" run --rm -v "$d:/data/"${quoted(name)} -w "/data/"${quoted(name)} busybox sh -c 'cat file; pwd | od -An -v -tx1 | tr -d " \\n"; echo made >new'
      cat "$d/new"`;
    const { out, err } = await engine.bash(script);
    expect(err).toBe("");
    expect(out).toBe(`content\n${hex("/data/")}${name.toString("hex")}0amade`);
  });

  test("are told apart in errors, also by the name of a command that is not found", async () => {
    const script = `"$MYDOCKER" run --rm busybox $'no\\n\\"\\xff\\xfe'`;
    const { exitCode, err } = await engine.bash(script);
    expect(exitCode).toBe(127);
    expect(err).toContain('exec: "no\\n\\"\\xff\\xfe": executable file not found in $PATH');
  });

  test("of the root file system, the command and its folder may be any bytes", async () => {
    const script = `
      d="$PWD/root"${quoted(name)}; mkdir -p "$d/bin"
      "$MYDOCKER" run --rm -v "$d:/out" busybox cp /bin/busybox /out/bin/sh
      cp "$d/bin/sh" "$d/"${quoted(name)}
      "$MYDOCKER" run --rm --rootfs "$d" /${quoted(name)} --help 2>&1 | head -c 0
      "$MYDOCKER" run --rm --rootfs "$d" sh -c 'for f in /*; do printf "%s" "$f" | od -An -v -tx1 | tr -d " \\n"; echo; done'`;
    const { out, err } = await engine.bash(script);
    expect(err).toBe("");
    expect(out.split("\n")).toContain(hex(Buffer.concat([Buffer.from("/"), name])));
  });

  test("written in the container are the same outside", async () => {
    const { out, err } = await engine.bash(`
      mkdir -p w; "$MYDOCKER" run --rm -v "$PWD/w:/w" busybox touch /w/${quoted(name)}
      [ -e w/${quoted(name)} ] && echo there`);
    expect({ out, err }).toEqual({ out: "there", err: "" });
  });
});

leavesNothingBehind(engine);
