import { describe, expect, test } from "bun:test";
import { parseCapability } from "./capability.ts";
import { parseCgroupParent } from "./cgroup.ts";
import { parseCpuList } from "./cpuset.ts";
import { parseCsvRecord } from "./csv.ts";
import { parseDevice, parseDeviceRule } from "./device.ts";
import { parseContainerName, parseHostname, parseWorkdir } from "./identity.ts";
import { parseIpc, parsePid } from "./isolation.ts";
import { parseNetwork } from "./network.ts";
import { parseCpus, parseInteger } from "./number.ts";
import { cleanPath } from "./path.ts";
import { parseSignal } from "./signal.ts";
import { parseSize, parseSizeOrUnlimited } from "./size.ts";
import { parseUlimit } from "./ulimit.ts";

/** Rows of [text, value], or of [text, Error with the message]. */
function table<T>(name: string, parse: (text: string) => T, rows: readonly [string, T | Error][]) {
  describe(name, () => {
    test.each([...rows])("%j", (text, expected) => {
      if (expected instanceof Error) expect(() => parse(text)).toThrow(expected.message);
      else expect<unknown>(parse(text)).toEqual(expected);
    });
  });
}

const UNLIMITED = 2 ** 64;

table("sizes", parseSize, [
  ["0", 0],
  ["512", 512],
  ["512b", 512],
  ["64k", 65536],
  ["64m", 67108864],
  ["64M", 67108864],
  ["64mb", 67108864],
  ["64MiB", 67108864],
  ["64 m", 67108864],
  ["1.5g", 1610612736],
  ["0.3k", 307],
  ["1t", 2 ** 40],
  ["1p", 2 ** 50],
  ["", new Error("invalid size: ''")],
  ["abc", new Error("invalid size: 'abc'")],
  ["-1", new Error("invalid size: '-1'")],
  ["64x", new Error("invalid size: '64x'")],
  ["1.2.3", new Error("invalid size: '1.2.3'")],
  [".5m", new Error("invalid size: '.5m'")],
  ["64m ", new Error("invalid size: '64m '")],
  ["9999p", new Error("invalid size: '9999p'")],
]);

table("memory and swap", parseSizeOrUnlimited, [
  ["-1", -1],
  ["1k", 1024],
  ["-2", new Error("invalid size: '-2'")],
]);

table("integers", parseInteger, [
  ["0", 0],
  ["-1", -1],
  ["+5", 5],
  ["1e3", new Error('strconv.ParseInt: parsing "1e3": invalid syntax')],
  ["", new Error('strconv.ParseInt: parsing "": invalid syntax')],
  [
    "99999999999999999999",
    new Error('strconv.ParseInt: parsing "99999999999999999999": value out of range'),
  ],
]);

table("cpus", parseCpus, [
  ["1", 1],
  ["1.5", 1.5],
  [".5", 0.5],
  ["0.000000001", 1e-9],
  ["3/2", 1.5],
  ["abc", new Error("failed to parse abc as a rational number")],
  ["1/0", new Error("failed to parse 1/0 as a rational number")],
  ["-1", new Error("failed to parse -1 as a rational number")],
  ["", new Error("failed to parse  as a rational number")],
  ["0.0000000001", new Error("value is too precise")],
  ["1/3", new Error("value is too precise")],
]);

table("ulimits", parseUlimit, [
  ["nofile=1024", { name: "RLIMIT_NOFILE", soft: 1024, hard: 1024 }],
  ["nofile=1024:2048", { name: "RLIMIT_NOFILE", soft: 1024, hard: 2048 }],
  ["core=-1", { name: "RLIMIT_CORE", soft: UNLIMITED, hard: UNLIMITED }],
  ["nproc=5:unlimited", { name: "RLIMIT_NPROC", soft: 5, hard: UNLIMITED }],
  ["as=1", { name: "RLIMIT_AS", soft: 1, hard: 1 }],
  ["nofile", new Error("invalid ulimit argument: nofile")],
  ["foo=1", new Error("invalid ulimit type: foo")],
  ["NOFILE=1", new Error("invalid ulimit type: NOFILE")],
  ["nofile=a", new Error('strconv.ParseInt: parsing "a": invalid syntax')],
  ["nofile=", new Error('strconv.ParseInt: parsing "": invalid syntax')],
  ["nofile=1:2:3", new Error("too many limit value arguments - 1:2:3")],
  ["nofile=2:1", new Error("ulimit soft limit must be less than or equal to hard limit: 2 > 1")],
  [
    "nofile=-1:1",
    new Error("ulimit soft limit must be less than or equal to hard limit: unlimited > 1"),
  ],
  ["nofile=9223372036854775808", new Error("value out of range")],
]);

table("signals", parseSignal, [
  ["TERM", 15],
  ["SIGTERM", 15],
  ["sigterm", 15],
  ["15", 15],
  ["KILL", 9],
  ["IOT", 6],
  ["RTMIN", 34],
  ["RTMIN+3", 37],
  ["SIGRTMAX-1", 63],
  ["64", 64],
  ["0", new Error("Invalid signal: 0")],
  ["65", new Error("Invalid signal: 65")],
  ["FOO", new Error("Invalid signal: FOO")],
  ["RTMIN+31", new Error("Invalid signal: RTMIN+31")],
  ["", new Error("Invalid signal: ")],
  ["toString", new Error("Invalid signal: toString")],
]);

table("capabilities", parseCapability, [
  ["NET_ADMIN", "CAP_NET_ADMIN"],
  ["cap_net_admin", "CAP_NET_ADMIN"],
  ["all", "ALL"],
  ["CAP_ALL", "ALL"],
  ["FOO", new Error('unknown capability: "CAP_FOO"')],
  ["", new Error('unknown capability: "CAP_"')],
]);

table("cpu lists", parseCpuList, [
  ["0", "0"],
  ["0-2,4", "0-2,4"],
  ["2-0", new Error("invalid list of numbers")],
  ["0,", new Error("invalid list of numbers")],
  ["", new Error("invalid list of numbers")],
  ["a", new Error("invalid list of numbers")],
]);

table("container names", parseContainerName, [
  ["web", "web"],
  ["a_b.c-1", "a_b.c-1"],
  ["a", new Error("Invalid container name (a), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")],
  ["-web", new Error("Invalid container name (-web)")],
  ["../x", new Error("Invalid container name (../x)")],
  ["a\nb", new Error("Invalid container name")],
]);

table("host names", parseHostname, [
  ["box", "box"],
  ["box-1.example.org", "box-1.example.org"],
  ["a".repeat(64), "a".repeat(64)],
  ["a".repeat(65), new Error("invalid hostname format")],
  ["-a", new Error("invalid hostname format: -a")],
  ["a b", new Error("invalid hostname format: a b")],
  ["", new Error("invalid hostname format: ")],
]);

table("working directories", parseWorkdir, [
  ["/a//b/../c/", "/a/c"],
  ["/", "/"],
  ["rel", new Error("the working directory 'rel' is invalid, it needs to be an absolute path")],
]);

table("networks", parseNetwork, [
  ["none", { network: "none" }],
  ["", { network: "bridge" }],
  ["name=a,alias=b,alias=c,ip=10.0.0.2", { network: "a", ip: "10.0.0.2", aliases: ["b", "c"] }],
  ["name=a,mac-address=02-42-AC-11-00-02", { network: "a", mac: "02:42:ac:11:00:02" }],
  ["name=a,ip=10.0.0", new Error("invalid IPv4 address: 10.0.0")],
  ["alias=b", new Error("network name/id is not specified")],
  ["name=a,colour=blue", new Error("invalid field key colour")],
]);

table("pid modes", parsePid, [
  ["host", "host"],
  ["private", "private"],
  ["", "private"],
  ["foo", new Error("invalid PID mode")],
  ["container:x", new Error('PID mode "container:x" is not supported by this version yet')],
]);

table("ipc modes", parseIpc, [
  ["private", "private"],
  ["shareable", new Error('IPC mode "shareable" is not supported by this version yet')],
  ["foo", new Error("invalid IPC mode")],
]);

table("records of comma-separated values", parseCsvRecord, [
  ["a,b", ["a", "b"]],
  ["a", ["a"]],
  ["", [""]],
  ["a,", ["a", ""]],
  [",a", ["", "a"]],
  ['"a,b",c', ["a,b", "c"]],
  ['"say ""x""",c', ['say "x"', "c"]],
  ['"",x', ["", "x"]],
  ['a"b', new Error('bare " in non-quoted-field')],
  ['"a', new Error('extraneous or missing " in quoted-field')],
  ['"a"b', new Error('extraneous or missing " in quoted-field')],
]);

table("clean paths", cleanPath, [
  ["/", "/"],
  ["/..", "/"],
  ["//a/./b/", "/a/b"],
  ["/a/../../b", "/b"],
]);

const NULL = "/dev/null";
table("devices", parseDevice, [
  [NULL, { source: NULL, target: NULL, access: "rwm" }],
  ["/dev/null:r", { source: NULL, target: NULL, access: "r" }],
  ["/dev/null:/dev/x", { source: NULL, target: "/dev/x", access: "rwm" }],
  ["/dev/../dev/null:/a/../b:mr", { source: NULL, target: "/b", access: "mr" }],
  ["/dev/null:/dev/x:rr", new Error("bad mode specified: rr")],
  ["/dev/null:/dev/x:", new Error("bad mode specified: ")],
  ["/dev/null:x", new Error("x is not an absolute path")],
  ["null", new Error("null is not an absolute path")],
  ["", new Error("invalid device specification: ")],
  ["/a:/b:r:w", new Error("invalid device specification: /a:/b:r:w")],
]);

table("device rules", parseDeviceRule, [
  ["c 10:229 rwm", { allow: true, type: "c", major: 10, minor: 229, access: "rwm" }],
  ["a *:* m", { allow: true, type: "a", major: -1, minor: -1, access: "m" }],
  ["c 10 rwm", new Error("invalid device cgroup format 'c 10 rwm'")],
  ["d 1:1 r", new Error("invalid device cgroup format 'd 1:1 r'")],
  ["c 1:1 r\nx", new Error("invalid device cgroup format")],
]);

table("cgroup parents", parseCgroupParent, [
  ["", undefined],
  ["a/b", "/a/b"],
  ["/a/../../b/", "/b"],
  ["../..", "/"],
]);
