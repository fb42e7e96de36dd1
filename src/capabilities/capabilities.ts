/** Capabilities (capabilities(7), linux/capability.h): names, sets, and how a process gives them up. */
import {
  capset,
  dropBoundingCapability,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  prctl,
} from "../linux/process.ts";

/** Every capability, in the order of its number. */
export const CAPABILITIES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

/** Docker's default set: a80425fb. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

/** A set of names as the kernel's bits. Names it does not know are left out. */
export function capabilityBits(names: readonly string[]): bigint {
  // Numbers in the loop, here and below: it runs many times for every container, a bigint is an object each.
  let [low, high] = [0, 0];
  for (const name of names) {
    const number = (CAPABILITIES as readonly string[]).indexOf(name);
    if (number >= 32) high |= 1 << (number - 32);
    else if (number >= 0) low |= 1 << number;
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

const halves = (bits: bigint): [low: number, high: number] => [
  Number(bits & 0xffffffffn),
  Number(bits >> 32n),
];

const hasBit = (low: number, high: number, number: number): boolean =>
  (number < 32 ? low & (1 << number) : high & (1 << (number - 32))) !== 0;

/** Names in a set of bits. */
export function capabilityNames(bits: bigint): string[] {
  const [low, high] = halves(bits);
  return CAPABILITIES.filter((_, number) => hasBit(low, high, number));
}

/** Drops every capability that is not in `bounding` from the bounding set. Needs CAP_SETPCAP, so before credentials change. */
export function limitBounding(bounding: bigint): void {
  const [low, high] = halves(bounding);
  // Unknown names of a newer kernel included, up to the number that it refuses.
  for (let number = 0; number < 64; number++) {
    if (hasBit(low, high, number)) continue;
    if (!dropBoundingCapability(number)) return; // past the kernel's last capability
  }
}

/** Sets the thread's permitted, effective, inheritable and ambient sets. */
export function applyCapabilities(sets: {
  effective: bigint;
  permitted: bigint;
  inheritable: bigint;
  ambient: bigint;
}): void {
  capset(sets.effective, sets.permitted, sets.inheritable);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  if (sets.ambient === 0n) return;
  for (let number = 0; number < CAPABILITIES.length; number++) {
    if ((sets.ambient & (1n << BigInt(number))) !== 0n)
      prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number);
  }
}
