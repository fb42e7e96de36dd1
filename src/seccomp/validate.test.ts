import { describe, expect, test } from "bun:test";
import { MydockerError } from "../errors.ts";
import { parseExactJson, parseProfileText, validateProfile, validateSeccomp } from "./validate.ts";

const rule = (fields: object) => ({
  defaultAction: "SCMP_ACT_ERRNO",
  syscalls: [{ names: ["read"], action: "SCMP_ACT_ALLOW" }, fields],
});

describe("what is wrong is named by its path", () => {
  test.each<[string, unknown]>([
    ["$: [] is not an object", []],
    ["$.defaultAction: a value of type undefined is none of", {}],
    ['$.defaultAction: "ALLOW" is none of', { defaultAction: "ALLOW" }],
    [
      "$.defaultErrnoRet: SCMP_ACT_ALLOW takes no defaultErrnoRet",
      { defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1 },
    ],
    [
      '$.architectures[1]: "amd64" is none of',
      { defaultAction: "SCMP_ACT_LOG", architectures: ["SCMP_ARCH_X86", "amd64"] },
    ],
    ['$.flags[0]: "TSYNC" is none of', { defaultAction: "SCMP_ACT_LOG", flags: ["TSYNC"] }],
    ["$.syscalls: {} is not an array", { defaultAction: "SCMP_ACT_LOG", syscalls: {} }],
    ["$.syscalls[1]: 7 is not an object", { ...rule({}), syscalls: [rule({}).syscalls[0], 7] }],
    ["$.syscalls[1].action: a value", rule({ names: ["write"] })],
    ["$.syscalls[1].names: names no system call", rule({ action: "SCMP_ACT_LOG" })],
    ["$.syscalls[1].names[0]: is empty", rule({ names: [""], action: "SCMP_ACT_LOG" })],
    [
      "$.syscalls[1].name: stands beside names",
      rule({ names: ["a"], name: "b", action: "SCMP_ACT_LOG" }),
    ],
    [
      "$.syscalls[1].errnoRet: SCMP_ACT_LOG takes no errnoRet",
      rule({ names: ["a"], action: "SCMP_ACT_LOG", errnoRet: 1 }),
    ],
    [
      "$.syscalls[1].errnoRet: -1 is not an integer from 0 to 65535",
      rule({ names: ["a"], action: "SCMP_ACT_ERRNO", errnoRet: -1 }),
    ],
    [
      "$.syscalls[1].args[0].index: 6 is not an integer from 0 to 5",
      rule({ names: ["a"], action: "SCMP_ACT_LOG", args: [{ index: 6, op: "SCMP_CMP_EQ" }] }),
    ],
    [
      '$.syscalls[1].args[0].op: "==" is none of',
      rule({ names: ["a"], action: "SCMP_ACT_LOG", args: [{ index: 0, value: 1, op: "==" }] }),
    ],
    [
      "$.syscalls[1].args[0].value: -1 is not an unsigned 64-bit integer",
      rule({
        names: ["a"],
        action: "SCMP_ACT_LOG",
        args: [{ index: 0, value: -1, op: "SCMP_CMP_EQ" }],
      }),
    ],
    [
      '$.syscalls[1].includes.minKernel: "new" is no "4.8"',
      rule({ names: ["a"], action: "SCMP_ACT_LOG", includes: { minKernel: "new" } }),
    ],
    [
      "$.syscalls[1].excludes.caps[0]: 3 is not a string",
      rule({ names: ["a"], action: "SCMP_ACT_LOG", excludes: { caps: [3] } }),
    ],
    [
      "$.archMap: stands beside architectures",
      {
        defaultAction: "SCMP_ACT_LOG",
        architectures: ["SCMP_ARCH_X86"],
        archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: null }],
      },
    ],
    ["$.defaultAction: SCMP_ACT_NOTIFY cannot", { defaultAction: "SCMP_ACT_NOTIFY" }],
    ["$.listenerPath: is missing", rule({ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" })],
    [
      "$.syscalls[1]: SCMP_ACT_NOTIFY cannot be for write",
      { ...rule({ names: ["write"], action: "SCMP_ACT_NOTIFY" }), listenerPath: "/run/x" },
    ],
    [
      "$.flags[0]: only counts with SCMP_ACT_NOTIFY",
      { defaultAction: "SCMP_ACT_LOG", flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] },
    ],
  ])("%s", (message, value) => {
    expect(() => validateProfile(value)).toThrow(MydockerError);
    expect(() => validateProfile(value)).toThrow(`seccomp profile: ${message}`);
  });

  test("in config.json, where Docker's keys are none", () => {
    const conditional = rule({ names: ["a"], action: "SCMP_ACT_LOG", includes: {} });
    expect(() => validateSeccomp(conditional)).toThrow("linux.seccomp.syscalls[1].includes: is");
    expect(() => validateSeccomp({ defaultAction: "SCMP_ACT_LOG", archMap: [] })).toThrow(
      "linux.seccomp.archMap: is Docker's",
    );
  });
});

test("a profile keeps what it says, and nulls of Go's encoder are nothing", () => {
  expect(
    validateSeccomp({
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 38,
      architectures: null,
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      listenerPath: "/run/listener",
      listenerMetadata: "x",
      syscalls: [
        { names: ["mkdir"], action: "SCMP_ACT_NOTIFY", args: null },
        {
          names: ["clone"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 5,
          args: [{ index: 0, value: 1, valueTwo: 2, op: "SCMP_CMP_MASKED_EQ" }],
        },
      ],
    }),
  ).toEqual({
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 38,
    flags: ["SECCOMP_FILTER_FLAG_LOG"],
    listenerPath: "/run/listener",
    listenerMetadata: "x",
    syscalls: [
      { names: ["mkdir"], action: "SCMP_ACT_NOTIFY" },
      {
        names: ["clone"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: 5,
        args: [{ index: 0, value: 1, valueTwo: 2, op: "SCMP_CMP_MASKED_EQ" }],
      },
    ],
  });
});

test("the old form with one name a rule is read", () => {
  const old = {
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [{ name: "read", action: "SCMP_ACT_ALLOW", args: [] }],
  };
  expect(validateProfile(old).syscalls).toEqual([{ names: ["read"], action: "SCMP_ACT_ALLOW" }]);
});

test("64-bit values come through whole", () => {
  expect(parseExactJson("[18446744073709551615, 9007199254740993, 7, 1.5]")).toEqual([
    18446744073709551615n,
    9007199254740993n,
    7,
    1.5,
  ]);
  const text = (value: string) =>
    `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG",
      "args":[{"index":0,"value":${value},"op":"SCMP_CMP_EQ"}]}]}`;
  expect(parseProfileText(text("18446744073709551615")).syscalls[0]?.args?.[0]?.value).toBe(
    2n ** 64n - 1n,
  );
  expect(() => parseProfileText(text("18446744073709551616"))).toThrow(
    "$.syscalls[0].args[0].value",
  );
  expect(() => parseProfileText("{")).toThrow("seccomp profile: not JSON");
});
