import { describe, expect, test } from "bun:test";
import { AccountError, lookUp, parseGroup, parsePasswd } from "./account.ts";

const passwd = parsePasswd(
  [
    "root:x:0:0:root:/root:/bin/sh",
    "# a comment",
    "alice:x:1000:1000::/home/alice:/bin/sh",
    "1234:x:7:7::/seven:",
    "homeless:x:9:9:::",
    "broken:x:nine:9::/:",
    "",
  ].join("\n"),
);
const groups = parseGroup(
  ["root:x:0:", "alice:x:1000:", "wheel:x:10:root,alice", "audio:x:29:alice", "bad:x:"].join("\n"),
);
const ask = (user: string, ...additionalGroups: string[]) =>
  lookUp({ user, additionalGroups }, passwd, groups);

describe("a user", () => {
  test.each([
    ["", { uid: 0, gid: 0, additionalGids: [0, 10], home: "/root" }],
    ["root", { uid: 0, gid: 0, additionalGids: [0, 10], home: "/root" }],
    ["alice", { uid: 1000, gid: 1000, additionalGids: [1000, 10, 29], home: "/home/alice" }],
    ["1000", { uid: 1000, gid: 1000, additionalGids: [1000, 10, 29], home: "/home/alice" }],
    ["alice:audio", { uid: 1000, gid: 29, additionalGids: [29], home: "/home/alice" }],
    ["alice:", { uid: 1000, gid: 1000, additionalGids: [1000, 10, 29], home: "/home/alice" }],
    ["4321", { uid: 4321, gid: 0, additionalGids: [0], home: "/" }],
    ["4321:5", { uid: 4321, gid: 5, additionalGids: [5], home: "/" }],
    [":10", { uid: 0, gid: 10, additionalGids: [10], home: "/root" }],
    ["homeless", { uid: 9, gid: 9, additionalGids: [9], home: "/" }],
  ])("%p is looked up in passwd and group", (user, account) => {
    expect(ask(user)).toEqual(account);
  });

  test("that is written like a number is found by name first", () => {
    expect(ask("1234").uid).toBe(7);
  });

  test("gets the groups that were asked for, once each", () => {
    expect(ask("alice:audio", "wheel", "29", "77").additionalGids).toEqual([29, 10, 77]);
  });

  test.each(["nobody", "alice:nogroup", "-1", "2147483648", "1000:99999999999", "broken"])(
    "%p is refused",
    (user) => {
      expect(() => ask(user)).toThrow(AccountError);
    },
  );
});
