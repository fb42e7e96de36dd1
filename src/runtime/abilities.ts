/**
 * What of the specification the runtime can do at all, whatever the machine: `features` tells it, and
 * a configuration that asks for more is refused rather than run without.
 */
/** Fields of config.json that not every runtime has, by their path. */
export const ABILITIES = {
  "process.apparmorProfile": false,
  "process.selinuxLabel": false,
  "process.scheduler": false,
  "process.ioPriority": false,
  "process.execCPUAffinity": false,
  "linux.netDevices": false,
  "linux.intelRdt": false,
  "linux.memoryPolicy": false,
  "linux.personality": false,
  "linux.seccomp.listenerPath": false,
} as const satisfies Record<string, boolean>;

/** A field of {@link ABILITIES}. */
export type Ability = keyof typeof ABILITIES;
