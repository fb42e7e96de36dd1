import { describe, expect, test } from "bun:test";
import { type TarEntry, writeTar } from "./ustar.ts";

const MTIME = 1_700_000_000;

/** What the machine's tar makes of an archive. */
function tar(args: readonly string[], archive: Uint8Array): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync(["tar", ...args], {
    stdin: archive,
    env: { ...process.env, TZ: "UTC", LC_ALL: "C" },
  });
  expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
  return stdout.toString();
}

const directory = (path: string, mode = 0o755): TarEntry => ({ type: "directory", path, mode });

describe("writeTar", () => {
  test("is read by tar with types, modes, owners, sizes and times intact", () => {
    const archive = writeTar(
      [
        { type: "file", path: "bin/tool", mode: 0o755, content: new Uint8Array(513) },
        directory("tmp", 0o1777),
        { type: "symlink", path: "bin/alias", target: "tool" },
        directory("bin"),
      ],
      MTIME,
    );
    expect(tar(["--numeric-owner", "-tvf", "-"], archive).trimEnd().split("\n")).toEqual([
      "drwxr-xr-x 0/0               0 2023-11-14 22:13 bin/",
      "lrwxrwxrwx 0/0               0 2023-11-14 22:13 bin/alias -> tool",
      "-rwxr-xr-x 0/0             513 2023-11-14 22:13 bin/tool",
      "drwxrwxrwt 0/0               0 2023-11-14 22:13 tmp/",
    ]);
  });

  test("keeps file contents, at and around the block size", () => {
    const contents = ["", "x", "y".repeat(511), "z".repeat(512), "ü".repeat(300)];
    const archive = writeTar(
      contents.map((content, i) => ({ type: "file", path: `f${i}`, mode: 0o644, content })),
      MTIME,
    );
    expect(archive.length % 512).toBe(0);
    for (const [i, content] of contents.entries()) {
      expect(tar(["-xOf", "-", `f${i}`], archive)).toBe(content);
    }
  });

  test("writes the same bytes whatever the order of its entries", () => {
    const entries = [directory("a"), directory("b"), directory("a/c")];
    expect(writeTar(entries.toReversed(), MTIME)).toEqual(writeTar(entries, MTIME));
  });

  test("splits a path over 100 bytes into prefix and name", () => {
    const folder = "d".repeat(90);
    const path = `${folder}/${"f".repeat(90)}`;
    const archive = writeTar(
      [directory(folder), { type: "file", path, mode: 0o600, content: "long" }],
      MTIME,
    );
    expect(tar(["-xOf", "-", path], archive)).toBe("long");
  });

  test.each<[string, TarEntry[], number, string]>([
    ["a path that is there twice", [directory("a"), directory("a")], MTIME, "twice"],
    ["a missing parent", [directory("a/b")], MTIME, "no parent"],
    ["an absolute path", [directory("/a")], MTIME, "no clean relative path"],
    ["a path with dots", [directory("a"), directory("a/..")], MTIME, "no clean relative path"],
    ["a name over 100 bytes", [directory("n".repeat(101))], MTIME, "too long"],
    [
      "a link target over 100 bytes",
      [{ type: "symlink", path: "l", target: "t".repeat(101) }],
      MTIME,
      "too long",
    ],
    ["a time before 1970", [directory("a")], -1, "does not fit"],
  ])("refuses %s", (_, entries, mtime, message) => {
    expect(() => writeTar(entries, mtime)).toThrow(message);
  });
});
