/** What device rules mean, said in the plainest way; and the kernel's two ways of judging an access. */

import type { DeviceRule } from "../../src/cgroups/resources.ts";
import type { DeviceState } from "../../src/cgroups/v1/devices.ts";

/** One mknod(2) or open(2). */
export interface Access {
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  /** of m 1, r 2, w 4 */
  readonly access: number;
}

const BITS: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };

/** OCI's meaning: for each kind of access the last rule that matches decides; without one it is allowed. */
export function isAllowed(rules: readonly DeviceRule[], asked: Access): boolean {
  return [1, 2, 4].every((bit) => {
    if ((asked.access & bit) === 0) return true;
    const last = rules.findLast(
      ({ type = "a", major = -1, minor = -1, access = "rwm" }) =>
        (type === "a" || type === asked.type) &&
        (major === -1 || major === asked.major) &&
        (minor === -1 || minor === asked.minor) &&
        [...access].some((letter) => BITS[letter] === bit),
    );
    return last?.allow ?? true;
  });
}

/** cgroup v1 (security/device_cgroup.c): one exception has to cover all that is asked for. */
export function isAllowedByState({ allow, exceptions }: DeviceState, asked: Access): boolean {
  const matching = [...exceptions.values()].filter(
    ({ type, major = asked.major, minor = asked.minor }) =>
      type === asked.type && major === asked.major && minor === asked.minor,
  );
  return allow
    ? matching.every(({ access }) => (access & asked.access) === 0)
    : matching.some(({ access }) => (asked.access & ~access) === 0);
}

/** Runs a program of type CGROUP_DEVICE (kernel/bpf/core.c), checking what the verifier checks. */
export function runDeviceProgram(bytes: Uint8Array, asked: Access): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const types = { b: 1, c: 2 } as const;
  const context = [types[asked.type] | (asked.access << 16), asked.major, asked.minor];
  const registers: (number | undefined)[] = [];
  const get = (register: number): number => {
    const value = registers[register];
    if (value === undefined) throw new Error(`r${register} is read before it is written`);
    return value;
  };
  for (let pc = 0; ; pc++) {
    if (pc * 8 >= bytes.length) throw new Error("the program runs out at its end");
    const code = view.getUint8(pc * 8);
    const dst = view.getUint8(pc * 8 + 1) & 15;
    const src = view.getUint8(pc * 8 + 1) >> 4;
    const offset = view.getInt16(pc * 8 + 2, true);
    const immediate = view.getInt32(pc * 8 + 4, true);
    switch (code) {
      case 0x61: {
        const word = context[offset / 4];
        if (src !== 1 || word === undefined) throw new Error(`load from r${src}+${offset}`);
        registers[dst] = word;
        break;
      }
      case 0xb4:
        registers[dst] = immediate >>> 0;
        break;
      case 0xbc:
        registers[dst] = get(src);
        break;
      case 0x54:
        registers[dst] = (get(dst) & immediate) >>> 0;
        break;
      case 0x74:
        registers[dst] = get(dst) >>> immediate;
        break;
      case 0x15:
        if (get(dst) === immediate) pc += offset;
        break;
      case 0x55:
        if (get(dst) !== immediate) pc += offset;
        break;
      case 0x95:
        return get(0);
      default:
        throw new Error(`instruction 0x${code.toString(16)} at ${pc}`);
    }
  }
}

/** Numbers from 0 to 2^32 - 1, the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Rules about few devices, so that they meet one another. */
export function randomRules(random: (below: number) => number): DeviceRule[] {
  const number = () => random(4) - 1;
  return Array.from({ length: random(8) }, (_, index): DeviceRule => {
    if (index === 0 && random(2) === 0) return { allow: false };
    const letters = [..."rwm"].filter(() => random(3) > 0).join("") || "r";
    const type = (["a", "b", "c", "b", "c"] as const)[random(5)] ?? "a";
    return { allow: random(3) > 0, type, major: number(), minor: number(), access: letters };
  });
}

/** Every access to the devices that {@link randomRules} can name. */
export function everyAccess(): Access[] {
  return (["b", "c"] as const).flatMap((type) =>
    [0, 1, 2, 3].flatMap((major) =>
      [0, 1, 2, 3].flatMap((minor) =>
        [1, 2, 3, 4, 5, 6, 7].map((access) => ({ type, major, minor, access })),
      ),
    ),
  );
}
