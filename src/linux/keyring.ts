/** Session keyrings (session-keyring(7), keyctl(2)). Constants from linux/keyctl.h and linux/key.h of the kernel. */
import { cString } from "../ffi/bytes.ts";
import { check, checkUnless } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { SYS } from "./syscall_numbers.ts";

const KEYCTL_JOIN_SESSION_KEYRING = 1;
const KEYCTL_SETPERM = 5;

/** Rights of who possesses a key, of its owner, and of others (keyrings(7)). */
export const KEY = {
  KEY_POS_ALL: 0x3f000000,
  KEY_USR_VIEW: 0x00010000,
  KEY_USR_READ: 0x00020000,
  KEY_USR_SEARCH: 0x00080000,
  KEY_USR_LINK: 0x00100000,
  KEY_OTH_SEARCH: 0x00000008,
} as const;

/**
 * keyctl(2), KEYCTL_JOIN_SESSION_KEYRING: makes the session keyring of this name, or joins it if the
 * caller may search it.
 * @returns its number; undefined when the kernel has no keyrings
 */
export function joinSessionKeyring(name: string): number | undefined {
  return checkUnless(
    "keyctl",
    ["ENOSYS"],
    () => ({ operation: "KEYCTL_JOIN_SESSION_KEYRING", name }),
    libc.keyctl_name(SYS.keyctl, KEYCTL_JOIN_SESSION_KEYRING, cString(name)),
  );
}

/** keyctl(2), KEYCTL_SETPERM. @param permissions bits of {@link KEY} */
export function setKeyPermissions(key: number, permissions: number): void {
  check(
    "keyctl",
    () => ({ operation: "KEYCTL_SETPERM", permissions: permissions.toString(16) }),
    libc.keyctl(SYS.keyctl, KEYCTL_SETPERM, key, permissions),
  );
}
