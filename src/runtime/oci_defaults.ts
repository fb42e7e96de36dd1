/** What a runtime adds to a configuration. */
import type { DeviceRule } from "../cgroups/resources.ts";
import type { Spec } from "./spec.ts";

/** Every device may be made, few may be used. */
export const DEFAULT_DEVICE_RULES: readonly DeviceRule[] = [
  { allow: false, type: "a", access: "rwm" },
  { allow: true, type: "b", access: "m" },
  { allow: true, type: "c", access: "m" },
  ...[
    [1, 3], // null
    [1, 5], // zero
    [1, 7], // full
    [1, 8], // random
    [1, 9], // urandom
    [5, 0], // tty
    [5, 1], // console
    [5, 2], // ptmx
    [10, 200], // net/tun
    [136, -1], // pts
  ].map(([major = -1, minor = -1]): DeviceRule => {
    return { allow: true, type: "c", major, minor, access: "rwm" };
  }),
];

/**
 * The configuration with the devices that every container may use, whatever its own rules are, as
 * runc has it, and no others but those that its own rules allow.
 */
export function withDefaults(spec: Spec): Spec {
  const { linux } = spec;
  const [deny, ...allowed] = DEFAULT_DEVICE_RULES as readonly [DeviceRule, ...DeviceRule[]];
  const given = linux.resources.devices ?? [];
  const devices = [deny, ...given, ...allowed];
  return { ...spec, linux: { ...linux, resources: { ...linux.resources, devices } } };
}
