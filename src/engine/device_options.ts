/** `--device`, `--device-cgroup-rule` and `--privileged` as nodes and rules. Pure but for the host's nodes. */
import type { DeviceRule } from "../cgroups/resources.ts";
import { MydockerError } from "../errors.ts";
import { DEFAULT_DEVICE_RULES } from "../runtime/oci_defaults.ts";
import type { Device } from "../runtime/spec.ts";
import { DEFAULT_DEVICES } from "./defaults.ts";
import type { DeviceRequest, RunOptions } from "./run_options.ts";

/** The nodes of the host's /dev. */
export interface HostNodes {
  /** what `--privileged` passes on */
  all(): readonly Device[];
  /** A device, or the devices in a directory. @returns why there is none, in words */
  at(path: string): readonly Device[] | string;
}

/** `linux.devices` and `linux.resources.devices`. */
export interface ContainerDevices {
  readonly nodes: readonly Device[];
  readonly rules: readonly DeviceRule[];
}

/** What a container gets of devices. @throws {MydockerError} for a device that is none */
export function containerDevices(
  { privileged, devices, deviceRules }: RunOptions,
  host: HostNodes,
): ContainerDevices {
  if (!privileged && devices.length === 0)
    return { nodes: DEFAULT_DEVICES, rules: [...DEFAULT_DEVICE_RULES, ...deviceRules] };
  const asked = devices.map((request) => ({ request, found: find(request, host) }));
  const all = [
    ...(privileged ? host.all() : DEFAULT_DEVICES),
    ...asked.flatMap(({ found }) => found),
  ];
  // The one that was asked for last is the one at a path.
  const nodes = [...new Map(all.map((node) => [node.path, node])).values()];
  if (privileged) return { nodes, rules: [{ allow: true, type: "a", access: "rwm" }] };
  const granted = asked.flatMap(({ request, found }) =>
    found.map(({ type, major, minor }): DeviceRule => {
      const kind = type === "b" ? "b" : "c";
      return { allow: true, type: kind, major, minor, access: request.access };
    }),
  );
  return { nodes, rules: [...DEFAULT_DEVICE_RULES, ...granted, ...deviceRules] };
}

function find({ source, target }: DeviceRequest, host: HostNodes): Device[] {
  const found = host.at(source);
  if (typeof found === "string") {
    throw new MydockerError(
      `error gathering device information while adding custom device "${source}": ${found}`,
      { exitCode: 125 },
    );
  }
  return found.map((node) => ({ ...node, path: `${target}${node.path}` }));
}
