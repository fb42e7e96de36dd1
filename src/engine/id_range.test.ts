import { expect, test } from "bun:test";
import { type IdFiles, rangeOf } from "./id_range.ts";

const NONE: IdFiles = { subuid: "", subgid: "", passwd: "", group: "" };
const FIRST = 0x80000;
const starts = (id: string, files: Partial<IdFiles> = {}) => {
  const { uid, gid } = rangeOf(id, { ...NONE, ...files });
  expect([uid.containerID, uid.size, gid.containerID, gid.size]).toEqual([0, 65536, 0, 65536]);
  return [uid.hostID, gid.hostID];
};

test("a range is the container's own, and the same at each start", () => {
  expect(starts("0000000000ab")).toEqual([FIRST, FIRST]);
  expect(starts("00000001ffff")).toEqual([FIRST + 65536, FIRST + 65536]);
  const [last = 0] = starts("ffffffff0000");
  expect(last).toBeGreaterThanOrEqual(FIRST);
  expect(last % 65536).toBe(0);
  expect(last + 65536).toBeLessThanOrEqual(0x70000000);
});

test.each<[string, Partial<IdFiles>]>([
  ["subordinate ids", { subuid: "ann:500000:65536\n" }],
  ["subordinate groups", { subgid: "ann:524287:2\n" }],
  ["a user", { passwd: `root:x:0:0:root:/root:/bin/sh\nann:x:${FIRST}:7::/:/bin/sh\n` }],
  ["a group", { group: `staff:x:${FIRST + 65535}:ann,bob\n` }],
])("it is outside of %s", (_, files) => {
  expect(starts("00000000", files)).toEqual([FIRST + 65536, FIRST + 65536]);
});

test("mydocker's own ranges are used, and nothing else", () => {
  const subuid = "ann:100000:65536\nmydocker:200000:131072\nmydocker:900000:65536\n";
  const files = { subuid, subgid: "mydocker:300000:65536\n" };
  expect(starts("00000000", files)).toEqual([200000, 300000]);
  expect(starts("00000001", files)).toEqual([265536, 300000]);
  expect(starts("00000002", files)).toEqual([900000, 300000]);
  expect(starts("00000003", files)).toEqual([200000, 300000]);
});

test("ranges that are too short or missing are an error that names the file", () => {
  const rangeWith = (files: Partial<IdFiles>) => () => rangeOf("00000000", { ...NONE, ...files });
  expect(rangeWith({ subuid: "mydocker:200000:65536\n" })).toThrow(
    "/etc/subgid has no 65536 ids in a row for mydocker",
  );
  expect(rangeWith({ subuid: "mydocker:2:9\n", subgid: "mydocker:200000:65536" })).toThrow(
    "/etc/subuid has no 65536",
  );
  expect(rangeWith({ subuid: "all:0:4294967295\n" })).toThrow("no 65536 ids in a row are free");
});
