import { describe, expect, test } from "bun:test";
import { TarReader } from "./tar.ts";
import type { TarEntry } from "./tar_entry.ts";
import { TarWriter } from "./tar_writer.ts";

const PLAIN: TarEntry = {
  type: "file",
  path: "a",
  linkTarget: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 1_700_000_000,
  mtimeNanoseconds: 0,
  devMajor: 0,
  devMinor: 0,
  xattrs: [],
};

/** The archive of members, and of one segment of data in each file. */
function write(entries: readonly TarEntry[], data = new Uint8Array(0), at = 0): Uint8Array {
  const chunks: Uint8Array[] = [];
  const writer = new TarWriter((bytes) => chunks.push(bytes.slice()));
  for (const entry of entries) {
    writer.entry(entry);
    if (entry.type !== "file") continue;
    if (entry.size > 0) writer.data(data, at);
    writer.endFile();
  }
  writer.finish();
  expect(writer.length).toBe(chunks.reduce((total, { length }) => total + length, 0));
  return Buffer.concat(chunks);
}

function readBack(bytes: Uint8Array): TarEntry[] {
  const found: TarEntry[] = [];
  const reader = new TarReader({ entry: (entry) => found.push(entry), data() {}, endFile() {} });
  reader.push(bytes);
  reader.end();
  return found;
}

const listed = (bytes: Uint8Array, ...options: string[]) =>
  Bun.spawnSync(["tar", "--numeric-owner", ...options, "-tvf", "-"], {
    stdin: bytes,
    env: { ...process.env, TZ: "UTC", LC_ALL: "C" },
  });

describe("what is written is read back as it was", () => {
  const MEMBERS: readonly (readonly [string, Partial<TarEntry>])[] = [
    ["a directory", { type: "directory", path: "d/", mode: 0o1777 }],
    ["a symbolic link", { type: "symlink", linkTarget: "../x", mode: 0o777 }],
    ["a link with a long target", { type: "symlink", linkTarget: "t".repeat(300) }],
    ["a hard link", { type: "hardlink", linkTarget: "first" }],
    ["a character device", { type: "character", devMajor: 4095, devMinor: 1_048_575 }],
    ["a block device", { type: "block", devMajor: 8, devMinor: 1 }],
    ["a FIFO", { type: "fifo", mode: 0o6755 }],
    ["a name in two parts", { path: `${"d".repeat(120)}/${"f".repeat(90)}` }],
    ["a name with a part of more than 100 bytes", { path: `d/${"f".repeat(200)}` }],
    ["a name that is no UTF-8", { path: "a\udcff\udcfeb" }],
    ["a name with a newline", { path: "a\nb = c" }],
    ["a name with umlauts", { path: "äöü/ß" }],
    ["the largest owners", { uid: 4_294_967_294, gid: 3_000_000 }],
    ["nanoseconds", { mtime: 1_700_000_000, mtimeNanoseconds: 120_000_001 }],
    ["a time before 1970", { mtime: -2, mtimeNanoseconds: 500_000_000 }],
    ["a whole second before 1970", { mtime: -86_400 }],
    ["a time in the far future", { mtime: 2 ** 36 }],
    [
      "extended attributes",
      {
        xattrs: [
          ["security.capability", Uint8Array.of(1, 0, 10, 61, 255)],
          ["user.empty", new Uint8Array(0)],
          ["user.text", Uint8Array.of(0x61)],
        ],
      },
    ],
  ];
  test.each(MEMBERS)("%s", (_, member) => {
    const entry = { ...PLAIN, ...member };
    const bytes = write([entry]);
    expect(readBack(bytes)).toEqual([entry]);
    expect(bytes.length % 512).toBe(0);
    // GNU tar reads it too, without a word.
    const { exitCode, stderr } = listed(bytes);
    expect(stderr.toString()).toBe("");
    expect(exitCode).toBe(0);
  });
});

test("GNU tar finds every member with its owner, size and time", () => {
  const bytes = write(
    [
      { ...PLAIN, path: "d", type: "directory", mode: 0o755 },
      { ...PLAIN, path: "d/file", size: 5, uid: 1000, gid: 3_000_000 },
    ],
    new TextEncoder().encode("hello"),
  );
  expect(listed(bytes).stdout.toString()).toBe(
    "drwxr-xr-x 0/0               0 2023-11-14 22:13 d/\n" +
      "-rw-r--r-- 1000/3000000      5 2023-11-14 22:13 d/file\n",
  );
});

test("holes become zeroes", () => {
  const bytes = write([{ ...PLAIN, size: 1000 }], Uint8Array.of(1, 2), 600);
  const content = bytes.subarray(512, 1512);
  expect(content.subarray(600, 602)).toEqual(Uint8Array.of(1, 2));
  expect(content.toHex().replaceAll("0", "")).toBe("12");
  expect(bytes.length).toBe(512 + 1024 + 1024);
});

test("a size beyond what octal digits say is a record of its own", () => {
  const chunks: Uint8Array[] = [];
  const writer = new TarWriter((chunk) => chunks.push(chunk.slice()));
  writer.entry({ ...PLAIN, size: 2 ** 33 });
  expect(() => writer.data(new Uint8Array(2), 2 ** 33 - 1)).toThrow(RangeError);
  writer.data(new Uint8Array(300_000), 0); // what was gathered is handed on before it
  expect(Buffer.concat(chunks).toString("latin1")).toContain(`size=${2 ** 33}\n`);
});

test("nothing but the members decides the bytes", () => {
  const entry: TarEntry = {
    ...PLAIN,
    xattrs: [
      ["user.b", Uint8Array.of(1)],
      ["user.a", Uint8Array.of(2)],
    ],
  };
  const [a, b] = [write([entry]), write([{ ...entry, xattrs: entry.xattrs.toReversed() }])];
  expect(Buffer.compare(a, b)).toBe(0);
});
