/** `--device HOST[:CONTAINER[:rwm]]` and `--device-cgroup-rule`. */
import type { DeviceRequest, DeviceRuleRequest } from "../../engine/run_options.ts";
import { UsageError } from "../../errors.ts";
import { cleanPath } from "./path.ts";

/** Some of r, w and m, each once. */
const isAccess = (text: string): boolean =>
  /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;

/** One `--device`. */
export function parseDevice(text: string): DeviceRequest {
  const [source = "", second, third, ...excess] = text.split(":");
  if (excess.length > 0 || source === "")
    throw new UsageError(`invalid device specification: ${text}`);
  if (third !== undefined && !isAccess(third)) throw new UsageError(`bad mode specified: ${third}`);
  // Of two parts the second may be either.
  const isMode = third === undefined && second !== undefined && isAccess(second);
  const target = isMode ? source : second || source;
  for (const path of [source, target])
    if (!path.startsWith("/")) throw new UsageError(`${path} is not an absolute path`);
  return {
    source: cleanPath(source),
    target: cleanPath(target),
    access: third ?? (isMode ? second : "rwm"),
  };
}

/** One `--device-cgroup-rule`: `TYPE MAJOR:MINOR ACCESS`. */
export function parseDeviceRule(text: string): DeviceRuleRequest {
  const [, type, major = "", minor = "", access] =
    /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type === undefined || access === undefined)
    throw new UsageError(`invalid device cgroup format '${text}'`);
  const number = (digits: string) => (digits === "*" ? -1 : Number(digits));
  return {
    allow: true,
    type: type as DeviceRuleRequest["type"],
    major: number(major),
    minor: number(minor),
    access,
  };
}
