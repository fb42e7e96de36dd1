/**
 * Programs made beforehand: a compiler that runs for the first time in a process takes some
 * milliseconds, which a container with Docker's profile and its default capabilities need not wait for.
 */
import { PRECOMPILED } from "./precompiled_table.ts";
import type { Seccomp } from "./profile.ts";

/**
 * What the rules of a profile are known by; undefined for one with bigints, which is none of ours.
 * Two profiles that mean the same may have different ones.
 */
export function profileDigest(profile: Seccomp): string | undefined {
  const { defaultAction, defaultErrnoRet, architectures, syscalls } = profile;
  try {
    const text = JSON.stringify([defaultAction, defaultErrnoRet, architectures, syscalls]);
    return new Bun.CryptoHasher("sha256").update(text).digest("hex");
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** The program of a profile, if it was made beforehand: an array of struct sock_filter. */
export function precompiled(profile: Seccomp, machine: "x64" | "arm64"): Uint8Array | undefined {
  const { rules, digest, program } = PRECOMPILED[machine];
  // Most others differ in this, and a digest takes its time too.
  if (profile.syscalls?.length !== rules || profileDigest(profile) !== digest) return undefined;
  return Uint8Array.fromBase64(program);
}
