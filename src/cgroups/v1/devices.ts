/**
 * Device rules on cgroup v1: Documentation/admin-guide/cgroup-v1/devices.rst, security/device_cgroup.c.
 *
 * The kernel keeps no list of rules but what holds for all devices and exceptions from it, and drops
 * exceptions only where they were made in the same words. So rules are followed here first, and what
 * they come to is written.
 */
import type { CgroupWrite, Controller, ReadCurrent } from "../controller.ts";
import {
  accessLetters,
  devicesOf,
  deviceWrite,
  EVERY_ACCESS,
  type PlainRule,
  plainRules,
} from "../device_rules.ts";
import { limitError } from "../error.ts";
import type { Resources } from "../resources.ts";

/** What the kernel keeps. */
export interface DeviceState {
  /** what holds without an exception */
  readonly allow: boolean;
  /** by what they are about: `c 1:3` */
  readonly exceptions: ReadonlyMap<string, PlainRule>;
}

/**
 * What the rules come to.
 * @throws {CgroupError} for one that takes a part out of an earlier one, which v1 cannot
 */
export function followRules(start: boolean, rules: readonly PlainRule[]): DeviceState {
  let allow = start;
  const exceptions = new Map<string, PlainRule>();
  for (const rule of rules) {
    if (rule.type === "a") {
      allow = rule.allow;
      exceptions.clear();
    } else if (rule.allow === allow) removeFrom(exceptions, rule);
    else {
      const key = devicesOf(rule);
      const before = exceptions.get(key)?.access ?? 0;
      exceptions.set(key, { ...rule, access: before | rule.access });
    }
  }
  return { allow, exceptions };
}

function removeFrom(exceptions: Map<string, PlainRule>, rule: PlainRule): void {
  for (const [key, exception] of exceptions) {
    if ((exception.access & rule.access) === 0 || !overlap(exception, rule)) continue;
    if (!covers(rule.major, exception.major) || !covers(rule.minor, exception.minor)) {
      const value = `${devicesOf(rule)} ${accessLetters(rule.access)}`;
      throw limitError(
        deviceWrite(rule.allow, value),
        `cgroup v1 cannot make an exception from "${key} ${accessLetters(exception.access)}"`,
        { hint: "name the devices one by one in the earlier rule" },
      );
    }
    const access = exception.access & ~rule.access;
    if (access === 0) exceptions.delete(key);
    else exceptions.set(key, { ...exception, access });
  }
}

type Selector = number | undefined;

const covers = (outer: Selector, inner: Selector): boolean =>
  outer === undefined || outer === inner;

const meet = (a: Selector, b: Selector): boolean => covers(a, b) || covers(b, a);

const overlap = (a: PlainRule, b: PlainRule): boolean =>
  a.type === b.type && meet(a.major, b.major) && meet(a.minor, b.minor);

/** What `devices.list` says; undefined when everything is allowed, whatever exceptions there are: it does not say. */
export function parseDeviceList(text: string | undefined): DeviceState | undefined {
  if (text === undefined) return undefined;
  const exceptions = new Map<string, PlainRule>();
  for (const line of text.split("\n")) {
    const [, type, major, minor, access] = /^([abc]) (\d+|\*):(\d+|\*) ([rwm]+)$/.exec(line) ?? [];
    if (type === undefined) continue;
    if (type === "a") return undefined;
    const [rule] = plainRules([
      {
        allow: true,
        type: type as "b" | "c",
        ...(major === "*" ? {} : { major: Number(major) }),
        ...(minor === "*" ? {} : { minor: Number(minor) }),
        ...(access === undefined ? {} : { access }),
      },
    ]) as [PlainRule];
    exceptions.set(devicesOf(rule), rule);
  }
  return { allow: false, exceptions };
}

/** The writes that lead from one state to another; undefined: it is not known. */
export function deviceWrites(from: DeviceState | undefined, to: DeviceState): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  const change = (allow: boolean, rule: PlainRule, access: number) => {
    if (access !== 0)
      writes.push(deviceWrite(allow, `${devicesOf(rule)} ${accessLetters(access)}`));
  };
  // From one kind of default to the same one without a moment in which nothing is allowed.
  const same = from !== undefined && from.allow === to.allow;
  if (!same) writes.push(deviceWrite(to.allow, "a"));
  const before = same ? from.exceptions : new Map<string, PlainRule>();
  for (const [key, rule] of to.exceptions)
    change(!to.allow, rule, rule.access & ~(before.get(key)?.access ?? 0));
  for (const [key, rule] of before)
    change(to.allow, rule, rule.access & ~(to.exceptions.get(key)?.access ?? 0));
  return writes;
}

function plan({ devices = [] }: Resources, current: ReadCurrent, isNew?: boolean): CgroupWrite[] {
  if (devices.length === 0) return [];
  const to = followRules(true, plainRules(devices));
  const list = isNew === true ? undefined : current("devices.list");
  // A new cgroup has what its parent has, and cannot have more.
  if (list === undefined && to.allow && to.exceptions.size === 0) return [];
  return deviceWrites(parseDeviceList(list), to);
}

/** Rules that restrict nothing need no cgroup: where one is, it is the parent's. */
function concerns({ devices = [] }: Resources): boolean {
  const last = devices[devices.length - 1];
  if (last === undefined) return false;
  const { allow, type = "a", major = -1, minor = -1, access = "rwm" } = last;
  const everything = type === "a" && major === -1 && minor === -1;
  return !(allow && everything && access.length === accessLetters(EVERY_ACCESS).length);
}

/** Which devices may be opened and made. */
export const devices: Controller = { name: "devices", always: false, plan, concerns };
