/** Device rules in the form in which both versions work with them. */
import type { CgroupWrite } from "./controller.ts";
import { limitError } from "./error.ts";
import type { DeviceRule } from "./resources.ts";

/** Kinds of access: BPF_DEVCG_ACC_* of linux/bpf.h. */
export const ACCESS = { m: 1, r: 2, w: 4 } as const;
/** All kinds of access. */
export const EVERY_ACCESS = 7;

/** One rule; block and character devices have rules of their own unless it is one for everything. */
export interface PlainRule {
  readonly allow: boolean;
  /** `a`: every device and every access, the other fields say nothing */
  readonly type: "a" | "b" | "c";
  /** undefined: every one */
  readonly major: number | undefined;
  readonly minor: number | undefined;
  /** bits of {@link ACCESS} */
  readonly access: number;
}

/**
 * The rules in plain form. A rule for `a` that names numbers or less than all access becomes one for
 * block and one for character devices, where the kernel's v1 would ignore what it names.
 * @throws {CgroupError} for a rule that says nothing
 */
export function plainRules(rules: readonly DeviceRule[]): PlainRule[] {
  return rules.flatMap((rule): PlainRule[] => {
    const { allow, type = "a" } = rule;
    const access = parseAccess(rule);
    const major = parseNumber(rule, rule.major);
    const minor = parseNumber(rule, rule.minor);
    if (type !== "a") return [{ allow, type, major, minor, access }];
    if (major === undefined && minor === undefined && access === EVERY_ACCESS)
      return [{ allow, type, major, minor, access }];
    return [
      { allow, type: "b", major, minor, access },
      { allow, type: "c", major, minor, access },
    ];
  });
}

function parseAccess(rule: DeviceRule): number {
  const { access = "rwm" } = rule;
  let bits = 0;
  for (const letter of access) {
    const bit = ACCESS[letter as keyof typeof ACCESS];
    if (bit === undefined) throw ruleError(rule, "access is made of r, w and m");
    bits |= bit;
  }
  if (bits === 0) throw ruleError(rule, "access is empty");
  return bits;
}

function parseNumber(rule: DeviceRule, value: number | undefined): number | undefined {
  if (value === undefined || value === -1) return undefined;
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff)
    throw ruleError(rule, `${value} is not the number of a device`);
  return value;
}

function ruleError(rule: DeviceRule, reason: string) {
  const { allow, type = "a", major = -1, minor = -1, access = "rwm" } = rule;
  const value = `${type} ${major === -1 ? "*" : major}:${minor === -1 ? "*" : minor} ${access}`;
  return limitError(deviceWrite(allow, value), reason);
}

/** The write that v1 has for a rule, by which errors of both versions name it. */
export function deviceWrite(allow: boolean, value: string): CgroupWrite {
  const file = allow ? "devices.allow" : "devices.deny";
  return { controller: "devices", file, value, field: "devices" };
}

/** `c 1:3`, `b *:*`: what a rule is about, as the kernel writes it. */
export function devicesOf({ type, major, minor }: PlainRule): string {
  return `${type} ${major ?? "*"}:${minor ?? "*"}`;
}

/** `rwm`, in the kernel's order. */
export function accessLetters(access: number): string {
  const has = (letter: keyof typeof ACCESS) => ((access & ACCESS[letter]) === 0 ? "" : letter);
  return has("r") + has("w") + has("m");
}
