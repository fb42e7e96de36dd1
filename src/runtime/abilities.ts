/**
 * What of the specification the runtime can do at all, whatever the machine: `features` tells it, and
 * a configuration that asks for more is refused rather than run without.
 */
/** Fields of config.json that not every runtime has, by their path. */
export const ABILITIES = {
  "process.apparmorProfile": true,
  "process.selinuxLabel": true,
  "process.scheduler": true,
  "process.ioPriority": true,
  "process.execCPUAffinity": true,
  "linux.netDevices": true,
  "linux.intelRdt": true,
  "linux.memoryPolicy": true,
  "linux.personality": true,
  "linux.seccomp.listenerPath": true,
} as const satisfies Record<string, boolean>;

/** A field of {@link ABILITIES}. */
export type Ability = keyof typeof ABILITIES;
