import { describe, expect, test } from "bun:test";
import { archive, base256, concat, gnuLong, member, pax } from "../../test/helpers/tar_builder.ts";
import { TarReader } from "./tar.ts";
import type { TarEntry, TarLimits } from "./tar_entry.ts";
import { TarError } from "./tar_header.ts";

interface Read extends TarEntry {
  /** The file with its holes. */
  content: string;
}

/** Reads an archive in pieces of `step` bytes. */
function read(bytes: Uint8Array, step = bytes.length, limits?: TarLimits): Read[] {
  const found: Read[] = [];
  let content = new Uint8Array(0);
  const reader = new TarReader(
    {
      entry(entry) {
        found.push({ ...entry, content: "" });
        content = new Uint8Array(entry.size);
      },
      data: (data, offset) => content.set(data, offset),
      endFile() {
        (found.at(-1) as Read).content = new TextDecoder("latin1").decode(content);
      },
    },
    limits,
  );
  for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
  reader.end();
  return found;
}

const only = (bytes: Uint8Array) => {
  const [entry, ...others] = read(bytes);
  expect(others).toEqual([]);
  return entry as Read;
};

const long = `${"d".repeat(120)}/${"f".repeat(120)}`;
const notUtf8 = Uint8Array.of(0x61, 0xff, 0xfe, 0x62);
/** Old GNU: offset and length pairs at 386, a flag at 482, the size at 483. */
const oldSparse =
  (pairs: readonly [number, number][], size: number, more = false) =>
  (header: Uint8Array) => {
    const octal = (at: number, value: number) =>
      header.set(new TextEncoder().encode(value.toString(8).padStart(11, "0")), at);
    pairs.forEach(([offset, length], i) => {
      octal(386 + i * 24, offset);
      octal(386 + i * 24 + 12, length);
    });
    header[482] = more ? 1 : 0;
    octal(483, size);
  };

describe("what a member is", () => {
  test.each([
    [
      "a file",
      archive({ name: "a/b", data: "hello" }),
      { type: "file", path: "a/b", size: 5, content: "hello" },
    ],
    [
      "a file of a v7 archive",
      archive({ name: "a", type: "\0", magic: "", data: "x" }),
      { type: "file", content: "x" },
    ],
    [
      "a contiguous file",
      archive({ name: "a", type: "7", data: "x" }),
      { type: "file", content: "x" },
    ],
    [
      "a directory",
      archive({ name: "a/", type: "5", mode: 0o1777 }),
      { type: "directory", path: "a/", mode: 0o1777 },
    ],
    [
      "a directory of a v7 archive",
      archive({ name: "a/", type: "\0", magic: "" }),
      { type: "directory" },
    ],
    [
      "a GNU dump directory, whose data is a list",
      archive({ name: "a/", type: "D", data: "Yb\0\0" }),
      { type: "directory", content: "" },
    ],
    [
      "a symbolic link",
      archive({ name: "a", type: "2", link: "../b" }),
      { type: "symlink", linkTarget: "../b" },
    ],
    [
      "a hard link, whose size says nothing",
      archive({ name: "a", type: "1", link: "b", size: 5 }),
      { type: "hardlink", linkTarget: "b", size: 0 },
    ],
    [
      "a character device",
      archive({ name: "a", type: "3", major: 5, minor: 1 }),
      { type: "character", devMajor: 5, devMinor: 1 },
    ],
    [
      "a block device",
      archive({ name: "a", type: "4", major: 259, minor: 65536 }),
      { type: "block", devMajor: 259, devMinor: 65536 },
    ],
    ["a FIFO", archive({ name: "a", type: "6" }), { type: "fifo" }],
    ["a setuid file", archive({ name: "a", mode: 0o4755 }), { mode: 0o4755 }],
    ["a mode with the file's type in it", archive({ name: "a", mode: 0o100644 }), { mode: 0o644 }],
    [
      "an owner beyond octal",
      archive({ name: "a", uid: base256(4_000_000_000n, 8), gid: base256(2_097_152n, 8) }),
      { uid: 4_000_000_000, gid: 2_097_152 },
    ],
    ["a time before 1970", archive({ name: "a", mtime: base256(-5n) }), { mtime: -5 }],
    [
      "numbers between blanks",
      archive({ name: "a", uid: "  17 \0", gid: "17\0", data: "x", size: "          1 " }),
      { uid: 15, gid: 15, size: 1 },
    ],
    ["a ustar prefix", archive({ name: "b", prefix: "a/long/way" }), { path: "a/long/way/b" }],
    [
      "no prefix in GNU's header, which has times there",
      archive({ name: "b", magic: "ustar  \0", prefix: "14733333333" }),
      { path: "b" },
    ],
    [
      "a name of 100 bytes without NUL",
      archive({ name: "n".repeat(100), link: "l".repeat(100), type: "2" }),
      { path: "n".repeat(100), linkTarget: "l".repeat(100) },
    ],
    ["a name that is not UTF-8", archive({ name: notUtf8 }), { path: "a\udcff\udcfeb" }],
    ["a name with a newline", archive({ name: "a\nb" }), { path: "a\nb" }],
    [
      "GNU's long names",
      archive(gnuLong(long), gnuLong(`${long}!`, "K"), {
        name: "d",
        type: "2",
        magic: "ustar  \0",
      }),
      { path: long, linkTarget: `${long}!` },
    ],
    [
      "GNU's long name that is not UTF-8",
      archive(gnuLong(concat([notUtf8, notUtf8])), { name: "d" }),
      { path: "a\udcff\udcfeba\udcff\udcfeb" },
    ],
    [
      "PAX names",
      archive(
        pax([
          ["path", long],
          ["linkpath", `${long}!`],
        ]),
        { name: "d", type: "2" },
      ),
      { path: long, linkTarget: `${long}!` },
    ],
    [
      "a PAX name with a newline and =",
      archive(pax([["path", "a\nb=c"]]), { name: "d" }),
      { path: "a\nb=c" },
    ],
    [
      "a PAX name that is not UTF-8",
      archive(
        pax([
          ["hdrcharset", "BINARY"],
          ["path", notUtf8],
        ]),
        { name: "d" },
      ),
      { path: "a\udcff\udcfeb" },
    ],
    [
      "PAX numbers",
      archive(
        pax([
          ["uid", "3000000000"],
          ["gid", "7"],
          ["size", "3"],
        ]),
        { name: "d", data: "abc", size: 0 },
      ),
      { uid: 3_000_000_000, gid: 7, size: 3, content: "abc" },
    ],
    [
      "a PAX time",
      archive(pax([["mtime", "1700000000.123456789"]]), { name: "d" }),
      { mtime: 1_700_000_000, mtimeNanoseconds: 123_456_789 },
    ],
    [
      "a PAX time with more digits than nanoseconds have",
      archive(pax([["mtime", "1.1234567899"]]), { name: "d" }),
      { mtime: 1, mtimeNanoseconds: 123_456_789 },
    ],
    [
      "a PAX time before 1970",
      archive(pax([["mtime", "-1.5"]]), { name: "d" }),
      { mtime: -2, mtimeNanoseconds: 500_000_000 },
    ],
    [
      "the last of two PAX records",
      archive(
        pax([
          ["uid", "1"],
          ["uid", "2"],
        ]),
        { name: "d" },
      ),
      { uid: 2 },
    ],
    [
      "an extended attribute",
      archive(pax([["SCHILY.xattr.user.a=b", "x"]]), { name: "d" }),
      { xattrs: [["user.a", new TextEncoder().encode("b=x")]] },
    ],
    [
      "an extended attribute of bytes",
      archive(pax([["SCHILY.xattr.security.capability", Uint8Array.of(1, 0, 0, 2, 10, 255)]]), {
        name: "d",
      }),
      { xattrs: [["security.capability", Uint8Array.of(1, 0, 0, 2, 10, 255)]] },
    ],
    [
      "an old GNU sparse file",
      archive({
        name: "s",
        type: "S",
        magic: "ustar  \0",
        data: "abcd",
        patch: oldSparse(
          [
            [2, 3],
            [8, 1],
            [12, 0],
          ],
          12,
        ),
      }),
      { type: "file", size: 12, content: "\0\0abc\0\0\0d\0\0\0" },
    ],
    [
      "an old GNU sparse file of nothing but a hole",
      archive({ name: "s", type: "S", magic: "ustar  \0", patch: oldSparse([[12, 0]], 12) }),
      { size: 12, content: "\0".repeat(12) },
    ],
    [
      "a PAX 0.0 sparse file",
      archive(
        pax([
          ["GNU.sparse.size", "6"],
          ["GNU.sparse.numblocks", "2"],
          ["GNU.sparse.offset", "1"],
          ["GNU.sparse.numbytes", "2"],
          ["GNU.sparse.offset", "5"],
          ["GNU.sparse.numbytes", "1"],
        ]),
        { name: "s", data: "abc" },
      ),
      { size: 6, content: "\0ab\0\0c" },
    ],
    [
      "a PAX 0.1 sparse file",
      archive(
        pax([
          ["GNU.sparse.name", "real"],
          ["GNU.sparse.size", "6"],
          ["GNU.sparse.numblocks", "2"],
          ["GNU.sparse.map", "1,2,5,1"],
        ]),
        { name: "GNUSparseFile.1/s", data: "abc" },
      ),
      { path: "real", size: 6, content: "\0ab\0\0c" },
    ],
    [
      "a PAX 1.0 sparse file",
      archive(
        pax([
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.name", "real"],
          ["GNU.sparse.realsize", "6"],
        ]),
        {
          name: "s",
          data: concat([
            new TextEncoder().encode("2\n1\n2\n5\n1\n"),
            new Uint8Array(502),
            new TextEncoder().encode("abc"),
          ]),
        },
      ),
      { path: "real", size: 6, content: "\0ab\0\0c" },
    ],
  ])("%s", (_, bytes, expected) => {
    expect(only(bytes)).toMatchObject(expected as object);
    // However it arrives.
    for (const step of [1, 7, 511, 513]) expect(read(bytes, step)).toEqual(read(bytes));
  });
});

test("an old GNU sparse map goes on in further blocks", () => {
  const pairs = Array.from({ length: 30 }, (_, i): [number, number] => [i * 10, 1]);
  const header = member({
    name: "s",
    type: "S",
    magic: "ustar  \0",
    size: 30,
    patch: oldSparse(pairs.slice(0, 4), 300, true),
  });
  const block = (part: readonly [number, number][], more: boolean) => {
    const bytes = new Uint8Array(512);
    part.forEach(([offset, length], i) => {
      bytes.set(new TextEncoder().encode(offset.toString(8).padStart(11, "0")), i * 24);
      bytes.set(new TextEncoder().encode(length.toString(8).padStart(11, "0")), i * 24 + 12);
    });
    bytes[504] = more ? 1 : 0;
    return bytes;
  };
  const data = new Uint8Array(512).fill(0x78, 0, 30);
  const bytes = concat([
    header,
    block(pairs.slice(4, 25), true),
    block(pairs.slice(25), false),
    data,
    archive({ name: "after" }),
  ]);
  const [sparse, after] = read(bytes);
  expect(sparse?.content).toBe(`x${"\0".repeat(9)}`.repeat(30));
  expect(after?.path).toBe("after");
});

test("global PAX records hold for all that follow, until a member's own or an empty one", () => {
  const bytes = archive(
    pax(
      [
        ["uid", "5"],
        ["mtime", "9"],
        ["SCHILY.xattr.user.g", "1"],
      ],
      "g",
    ),
    { name: "a" },
    pax([["uid", "6"]]),
    { name: "b" },
    pax([["uid", ""]]),
    { name: "c", uid: 3 },
    pax([["uid", "7"]], "g"),
    { name: "d" },
  );
  expect(read(bytes).map(({ path, uid, mtime }) => ({ path, uid, mtime }))).toEqual([
    { path: "a", uid: 5, mtime: 9 },
    { path: "b", uid: 6, mtime: 9 },
    { path: "c", uid: 3, mtime: 9 },
    { path: "d", uid: 7, mtime: 9 },
  ]);
});

test("a volume label is no member", () => {
  expect(
    read(archive({ name: "label", type: "V" }, { name: "a" })).map(({ path }) => path),
  ).toEqual(["a"]);
});

describe("where an archive may end", () => {
  test.each([
    [
      "with blocks of zeroes, whatever comes after them",
      concat([archive({ name: "a" }), new TextEncoder().encode("garbage")]),
    ],
    ["without blocks of zeroes", member({ name: "a" })],
    ["with one block of zeroes", concat([member({ name: "a" }), new Uint8Array(512)])],
  ])("%s", (_, bytes) => {
    expect(only(bytes).path).toBe("a");
  });

  test("before it has begun", () => {
    expect(read(new Uint8Array(1024))).toEqual([]);
  });
});

describe("what is no archive, or a damaged one, is an error", () => {
  const file = archive({ name: "file", data: "x".repeat(600) });
  test.each([
    ["nothing", new Uint8Array(0), "the tar archive is empty"],
    ["text", new TextEncoder().encode("hello world\n".repeat(100)), "no tar archive"],
    ["less than a block", new TextEncoder().encode("hello"), "truncated"],
    ["an end in a header", file.subarray(0, 300), "truncated"],
    ["an end in data", file.subarray(0, 1000), "truncated"],
    ["an end in padding", file.subarray(0, 512 + 700), "truncated"],
    ["an end after an extended header", pax([["path", "a"]]), "truncated"],
    [
      "a wrong checksum",
      archive({ name: "a", checksum: "000001\0 " }),
      "bad header checksum at byte 0",
    ],
    [
      "a wrong checksum later",
      concat([member({ name: "a" }), archive({ name: "b", checksum: "x" })]),
      "bad header checksum at byte 512",
    ],
    [
      "a lone block of zeroes",
      concat([new Uint8Array(512), archive({ name: "a" })]),
      "a lone block of zeroes",
    ],
    ["a negative size", archive({ name: "a", size: base256(-1n) }), "negative size"],
    ["a negative PAX size", archive(pax([["size", "-512"]]), { name: "a" }), "negative size"],
    ["a size beyond 2^53", archive({ name: "a", size: base256(1n << 60n) }), "bad size"],
    ["a size that is no number", archive({ name: "a", size: "12x45" }), "bad size"],
    ["an octal size with an 8", archive({ name: "a", size: "00000000008" }), "bad size"],
    ["an unknown type", archive({ name: "a", type: "Z" }), 'type "Z"'],
    ["a part of a file on another tape", archive({ name: "a", type: "M" }), 'type "M"'],
    [
      "a huge extended header",
      archive({ name: "a", type: "x", size: (1 << 20) + 1 }),
      "a header of 1048577 bytes",
    ],
    [
      "a huge long name",
      archive({ name: "a", type: "L", size: 1 << 30 }),
      "a header of 1073741824 bytes",
    ],
    [
      "global headers that add up",
      concat(Array.from({ length: 3 }, (_, i) => pax([[`k${i}`, "x".repeat(500_000)]], "g"))),
      "global headers of more than",
    ],
    [
      "a PAX record that is too long",
      archive({ type: "x", data: "99 path=a\n" }, { name: "a" }),
      "bad PAX record",
    ],
    [
      "a PAX record without =",
      archive({ type: "x", data: "8 path\n\n" }, { name: "a" }),
      "bad PAX record",
    ],
    [
      "a PAX record without a key",
      archive({ type: "x", data: "5 =a\n" }, { name: "a" }),
      "bad PAX record",
    ],
    [
      "a PAX record without a newline",
      archive({ type: "x", data: "9 path=ab" }, { name: "a" }),
      "bad PAX record",
    ],
    [
      "a PAX record of length 0",
      archive({ type: "x", data: "0 path=a\n" }, { name: "a" }),
      "bad PAX record",
    ],
    ["a PAX name with NUL", archive(pax([["path", "a\0b"]]), { name: "a" }), "NUL in PAX path"],
    ["a PAX owner that is no number", archive(pax([["uid", "1e3"]]), { name: "a" }), "bad PAX uid"],
    [
      "a PAX time that is no number",
      archive(pax([["mtime", "now"]]), { name: "a" }),
      "bad PAX mtime",
    ],
    [
      "an attribute's name with NUL",
      archive(pax([["SCHILY.xattr.user.a\0", "x"]]), { name: "a" }),
      "bad name of an extended attribute",
    ],
    [
      "a sparse map out of order",
      archive({
        name: "s",
        type: "S",
        data: "ab",
        patch: oldSparse(
          [
            [5, 1],
            [2, 1],
          ],
          12,
        ),
      }),
      "bad sparse map",
    ],
    [
      "a sparse map beyond the file",
      archive({ name: "s", type: "S", data: "ab", patch: oldSparse([[11, 2]], 12) }),
      "bad sparse map",
    ],
    [
      "a sparse map of more than there is",
      archive({ name: "s", type: "S", data: "ab", patch: oldSparse([[0, 3]], 12) }),
      "bad sparse map",
    ],
    [
      "a sparse map with half a pair",
      archive(
        pax([
          ["GNU.sparse.size", "6"],
          ["GNU.sparse.map", "1,2,5"],
        ]),
        { name: "s", data: "abc" },
      ),
      "bad sparse map",
    ],
    [
      "a sparse file without a size",
      archive(pax([["GNU.sparse.map", "1,2"]]), { name: "s", data: "ab" }),
      "bad sparse map",
    ],
    [
      "a sparse map of a million and one",
      archive(
        pax([
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.realsize", "6"],
        ]),
        { name: "s", data: "1000001\n" },
      ),
      "bad sparse map",
    ],
    [
      "a sparse map longer than the data",
      archive(
        pax([
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.realsize", "6"],
        ]),
        { name: "s", data: "3\n1\n2\n" },
      ),
      "bad sparse map",
    ],
    [
      "an unknown sparse format",
      archive(
        pax([
          ["GNU.sparse.major", "2"],
          ["GNU.sparse.minor", "0"],
        ]),
        { name: "s" },
      ),
      "unknown sparse format",
    ],
  ])("%s", (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(TarError);
    expect(() => read(bytes)).toThrow(message);
    expect(() => read(bytes, 100)).toThrow(message);
  });

  test("more headers than the limit", () => {
    const bytes = archive({ name: "a" }, { name: "b" }, { name: "c" });
    expect(() => read(bytes, 512, { headers: 2, headerBytes: 1024 })).toThrow(
      "more than 2 headers",
    );
  });
});

test("no random damage makes anything but an error of ours", () => {
  const good = archive(
    pax([
      ["path", "p"],
      ["mtime", "1.5"],
    ]),
    { name: "a", data: "hello" },
    {
      name: "s",
      type: "S",
      data: "abcd",
      patch: oldSparse(
        [
          [2, 3],
          [8, 1],
        ],
        12,
      ),
    },
    pax([
      ["GNU.sparse.major", "1"],
      ["GNU.sparse.minor", "0"],
      ["GNU.sparse.realsize", "6"],
    ]),
    {
      name: "s",
      data: concat([
        new TextEncoder().encode("1\n1\n2\n"),
        new Uint8Array(506),
        new TextEncoder().encode("ab"),
      ]),
    },
  );
  // A linear congruential generator: the same damage in every run.
  let seed = 42;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  let refused = 0;
  for (let run = 0; run < 3000; run++) {
    const bytes = good.slice();
    const at = random(bytes.length);
    bytes[at] = random(256);
    // Half of the time with a header's checksum made right again.
    const block = at - (at % 512);
    if (random(2) === 0) {
      bytes.fill(0x20, block + 148, block + 156);
      const sum = bytes.subarray(block, block + 512).reduce((total, byte) => total + byte, 0);
      bytes.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), block + 148);
    }
    const sink = { entry: () => {}, data: () => {}, endFile: () => {} };
    const reader = new TarReader(sink);
    try {
      reader.push(bytes);
      reader.end();
    } catch (error) {
      expect(error).toBeInstanceOf(TarError);
      refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(1000);
});
