/** What `features` tells of the runtime (features.md of the specification). */
import { CAPABILITIES } from "../capabilities/capabilities.ts";
import { knownMountOptions } from "../rootfs/options.ts";
import { FAMILIES } from "../seccomp/architectures.ts";
import { ACTIONS, FLAGS, OPERATORS } from "../seccomp/profile.ts";
import { ABILITIES } from "./abilities.ts";
import { NAMESPACE_TYPES } from "./linux_rules.ts";
import { HOOK_PLACES } from "./spec.ts";
import { OCI_VERSION } from "./spec_template.ts";

/** Profiles are compiled for the machine's own architectures; rules for others have no effect on it. */
function seccomp() {
  const family = FAMILIES[process.arch === "arm64" ? "arm64" : "x64"];
  const flags = Object.keys(FLAGS).sort();
  const actions = Object.keys(ACTIONS).sort();
  return {
    enabled: true,
    actions: ABILITIES["linux.seccomp.listenerPath"]
      ? actions
      : actions.filter((action) => action !== "SCMP_ACT_NOTIFY"),
    operators: [...OPERATORS].sort(),
    archs: [...family.keys()].sort(),
    knownFlags: flags,
    supportedFlags: flags,
  };
}

/** Everything here is about the runtime; what the machine has is another question. */
export function ociFeatures(): object {
  return {
    ociVersionMin: OCI_VERSION.min,
    ociVersionMax: OCI_VERSION.max,
    hooks: HOOK_PLACES,
    mountOptions: knownMountOptions(),
    linux: {
      namespaces: [...NAMESPACE_TYPES].sort(),
      capabilities: CAPABILITIES,
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: false, rdma: true },
      seccomp: seccomp(),
      apparmor: { enabled: ABILITIES["process.apparmorProfile"] },
      selinux: { enabled: ABILITIES["process.selinuxLabel"] },
      intelRdt: {
        enabled: ABILITIES["linux.intelRdt"],
        schemata: ABILITIES["linux.intelRdt"],
        monitoring: ABILITIES["linux.intelRdt"],
      },
      mountExtensions: { idmap: { enabled: true } },
      netDevices: { enabled: ABILITIES["linux.netDevices"] },
    },
    annotations: {
      "io.github.mydocker.version": process.env.MYDOCKER_VERSION ?? "development",
      "io.github.mydocker.commit": process.env.MYDOCKER_COMMIT ?? "unknown",
    },
    potentiallyUnsafeConfigAnnotations: [],
  };
}
