/** Device rules of both versions against what they mean, for thousands of lists and every access. */
import { describe, expect, test } from "bun:test";
import {
  everyAccess,
  isAllowed,
  isAllowedByState,
  randomNumbers,
  randomRules,
  runDeviceProgram,
} from "../../test/helpers/device_rules.ts";
import { plainRules } from "./device_rules.ts";
import { CgroupError } from "./error.ts";
import type { DeviceRule } from "./resources.ts";
import { devices as devicesV1, deviceWrites, followRules, parseDeviceList } from "./v1/devices.ts";
import { deviceProgram, encodeProgram } from "./v2/device_program.ts";

const DENY_ALL: DeviceRule = { allow: false };
const allow = (type: "b" | "c", major: number, minor: number, access = "rwm"): DeviceRule => ({
  allow: true,
  type,
  major,
  minor,
  access,
});

test("v2: the program answers as the rules say, whatever they are", () => {
  const random = randomNumbers(1);
  let answers = 0;
  for (let list = 0; list < 300; list++) {
    const rules = randomRules(random);
    const program = encodeProgram(deviceProgram(plainRules(rules)));
    for (const asked of everyAccess()) {
      const answer = runDeviceProgram(program, asked);
      if (answer !== Number(isAllowed(rules, asked)))
        expect({ rules, asked, answer }).toEqual({ rules, asked, answer: 1 - answer });
      answers += answer;
    }
  }
  expect(answers).toBeGreaterThan(1000);
});

test("v2: Docker's rules are few instructions, and a rule for everything is the last one looked at", () => {
  const rules = [DENY_ALL, allow("c", -1, -1, "m"), allow("c", 1, 3)];
  expect(deviceProgram(plainRules(rules))).toHaveLength(6 + 5 + 5 + 2);
  expect(deviceProgram(plainRules([...rules, { allow: true }]))).toHaveLength(6 + 2);
  // No device has such a number.
  expect(deviceProgram(plainRules([allow("c", 5000, 0)]))).toHaveLength(6 + 2);
});

test("v1: what is kept answers as the rules say, or the rules are refused", () => {
  const random = randomNumbers(2);
  let kept = 0;
  let refused = 0;
  for (let list = 0; list < 1000; list++) {
    const rules = randomRules(random);
    let state: ReturnType<typeof followRules>;
    try {
      state = followRules(true, plainRules(rules));
      kept++;
    } catch (error) {
      expect(error).toBeInstanceOf(CgroupError);
      refused++;
      continue;
    }
    for (const asked of everyAccess()) {
      const answer = isAllowedByState(state, asked);
      // Of two exceptions that have to come together for an access the kernel takes neither: it is
      // stricter then, never laxer.
      const single = [1, 2, 4].includes(asked.access) || state.allow;
      if (single)
        expect({ rules, asked, answer }).toEqual({ rules, asked, answer: isAllowed(rules, asked) });
      else if (answer) expect(isAllowed(rules, asked)).toBe(true);
    }
  }
  expect(kept).toBeGreaterThan(300);
  expect(refused).toBeGreaterThan(50);
});

describe("v1: what is written", () => {
  const plan = (rules: DeviceRule[], list?: string) =>
    devicesV1
      .plan({ devices: rules }, (file) => (file === "devices.list" ? list : undefined))
      .map(({ file, value }) => `${file}=${value}`);

  test("in a new cgroup is the default and its exceptions", () => {
    expect(plan([DENY_ALL, allow("c", 1, 3), allow("b", -1, -1, "m")])).toEqual([
      "devices.deny=a",
      "devices.allow=c 1:3 rwm",
      "devices.allow=b *:* m",
    ]);
    expect(plan([DENY_ALL, { allow: true }])).toEqual([]);
    expect(plan([{ allow: false, type: "c", major: 10 }])).toEqual([
      "devices.allow=a",
      "devices.deny=c 10:* rwm",
    ]);
  });

  test("later is the difference, and nothing is denied in between", () => {
    const list = "c 1:3 rwm\nc 1:5 r\nb *:* m";
    const rules = [DENY_ALL, allow("c", 1, 5), allow("b", -1, -1, "m")];
    expect(plan(rules, list)).toEqual(["devices.allow=c 1:5 wm", "devices.deny=c 1:3 rwm"]);
    expect(plan([DENY_ALL, { allow: true }], list)).toEqual(["devices.allow=a"]);
    expect(plan([], list)).toEqual([]);
  });

  test("is what is needed in an order of any kind", () => {
    const random = randomNumbers(3);
    const states = Array.from({ length: 200 }, () => {
      try {
        return followRules(false, plainRules([DENY_ALL, ...randomRules(random)]));
      } catch {
        return followRules(false, []);
      }
    }).filter((state) => !state.allow);
    expect(states.length).toBeGreaterThan(50);
    states.slice(1).forEach((to, index) => {
      const from = states[index] as typeof to;
      const written = deviceWrites(from, to).map(
        ({ file, value }) => plainRules([parse(file === "devices.allow", value)])[0] as never,
      );
      // As the kernel does: exceptions that are spelled alike come and go.
      const now = new Map(from.exceptions);
      for (const rule of written as ReturnType<typeof plainRules>) {
        const key = `${rule.type} ${rule.major ?? "*"}:${rule.minor ?? "*"}`;
        const before = now.get(key)?.access ?? 0;
        const access = rule.allow ? before | rule.access : before & ~rule.access;
        if (access === 0) now.delete(key);
        else now.set(key, { ...rule, access });
      }
      const accesses = (map: typeof now) =>
        [...map].map(([key, { access }]) => `${key} ${access}`).sort();
      expect(accesses(now)).toEqual(accesses(new Map(to.exceptions)));
    });
  });
});

function parse(allowed: boolean, value: string): DeviceRule {
  const [type, numbers = "", access = "rwm"] = value.split(" ");
  const [major, minor] = numbers.split(":").map((text) => (text === "*" ? -1 : Number(text)));
  return {
    allow: allowed,
    type: type as "b" | "c",
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
    access,
  };
}

test("v1: a part of an earlier rule cannot be taken back, which the kernel would ignore in silence", () => {
  const rules = [
    DENY_ALL,
    allow("c", 1, -1),
    { allow: false, type: "c" as const, major: 1, minor: 3 },
  ];
  expect(() => followRules(true, plainRules(rules))).toThrow(
    'cgroup devices: devices.deny = c 1:3 rwm: cgroup v1 cannot make an exception from "c 1:* rwm"',
  );
});

test("v1: the kernel's list is read as it is written", () => {
  expect(parseDeviceList("a *:* rwm")).toBeUndefined();
  const state = parseDeviceList("b *:* m\nc 136:* rwm");
  expect(state?.allow).toBe(false);
  expect([...(state?.exceptions.keys() ?? [])]).toEqual(["b *:*", "c 136:*"]);
});

test("rules that say nothing are refused", () => {
  expect(() => plainRules([{ allow: true, access: "rx" }])).toThrow(
    "cgroup devices: devices.allow = a *:* rx: access is made of r, w and m",
  );
  expect(() => plainRules([{ allow: true, access: "" }])).toThrow("access is empty");
  expect(() => plainRules([{ allow: false, type: "c", major: -2 }])).toThrow(
    "-2 is not the number",
  );
});
