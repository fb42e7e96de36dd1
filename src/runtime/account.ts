/**
 * Who a container's process runs as, by the names in the image's own passwd and group files
 * (passwd(5), group(5)). Read in init, where the container's root is put together, so that no
 * layer hides what another one says.
 */
import { decodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { close } from "../linux/fd.ts";
import { readToEnd } from "../linux/file.ts";
import { openForReading } from "../rootfs/safe_path.ts";

/** What was asked for, not looked up yet. */
export interface AccountRequest {
  /** `user[:group]`, names or numbers; empty for root */
  readonly user: string;
  /** names or numbers */
  readonly additionalGroups: readonly string[];
}

/** Numeric ids, and where the user is at home. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** A user or group that the image does not know. */
export class AccountError extends Error {}

/** Larger files are cut: an image must not be able to fill our memory. */
const LIMIT = 16 << 20;
const MAX_ID = 0x7fffffff;

/** Looks the request up in the root that `rootFd` names. @throws {AccountError} */
export function resolveAccount(rootFd: number, request: AccountRequest): Account {
  return lookUp(
    request,
    parsePasswd(readInRoot(rootFd, "/etc/passwd")),
    parseGroup(readInRoot(rootFd, "/etc/group")),
  );
}

/** Where a user is at home, by the image's passwd; `/` if it does not say. */
export function homeOf(rootFd: number, uid: number): string {
  return (
    parsePasswd(readInRoot(rootFd, "/etc/passwd")).find((entry) => entry.uid === uid)?.home || "/"
  );
}

/** The look-up itself, on the parsed files. As Docker: a name beats a number that is written the same. */
export function lookUp(
  request: AccountRequest,
  passwd: readonly PasswdEntry[],
  groups: readonly GroupEntry[],
): Account {
  const colon = request.user.indexOf(":");
  const userPart = colon === -1 ? request.user : request.user.slice(0, colon);
  const groupPart = colon === -1 ? "" : request.user.slice(colon + 1);

  const wanted = userPart === "" ? "0" : userPart;
  const entry =
    passwd.find(({ name }) => name === wanted) ?? passwd.find(({ uid }) => String(uid) === wanted);
  const uid = entry?.uid ?? parseId(wanted);
  if (uid === undefined) {
    throw new AccountError(`unable to find user ${wanted}: no matching entries in passwd file`);
  }
  let gid = entry?.gid ?? 0;
  const additional: number[] = [];
  if (groupPart !== "") {
    gid = findGroup(groupPart, groups);
  } else if (entry !== undefined) {
    // Only without a group of its own does the user bring the groups that list it.
    for (const group of groups) {
      if (group.members.includes(entry.name) && group.gid !== gid) additional.push(group.gid);
    }
  }
  for (const name of request.additionalGroups) additional.push(findGroup(name, groups));
  // The primary group is one of them, or a negative permission for it could be shed (CVE-2022-36109).
  return { uid, gid, additionalGids: [...new Set([gid, ...additional])], home: entry?.home || "/" };
}

function findGroup(wanted: string, groups: readonly GroupEntry[]): number {
  const gid =
    groups.find(({ name }) => name === wanted)?.gid ??
    groups.find((group) => String(group.gid) === wanted)?.gid ??
    parseId(wanted);
  if (gid === undefined) {
    throw new AccountError(`unable to find group ${wanted}: no matching entries in group file`);
  }
  return gid;
}

function parseId(text: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id > MAX_ID) {
    throw new AccountError(`uids and gids must be in range 0-${MAX_ID}: ${text}`);
  }
  return id;
}

/** Lines of passwd(5); what is malformed is left out. */
export function parsePasswd(text: string): PasswdEntry[] {
  const entries: PasswdEntry[] = [];
  for (const [name = "", , uid = "", gid = "", , home = ""] of fields(text)) {
    if (isId(uid) && isId(gid)) entries.push({ name, uid: Number(uid), gid: Number(gid), home });
  }
  return entries;
}

/** Lines of group(5); what is malformed is left out. */
export function parseGroup(text: string): GroupEntry[] {
  const entries: GroupEntry[] = [];
  for (const [name = "", , gid = "", members = ""] of fields(text)) {
    if (isId(gid)) entries.push({ name, gid: Number(gid), members: members.split(",") });
  }
  return entries;
}

const isId = (text: string): boolean => /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID;

function fields(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}

function readInRoot(rootFd: number, path: string): string {
  try {
    const fd = openForReading(rootFd, path);
    if (fd === undefined) return "";
    try {
      return decodeBytes(readToEnd(fd, LIMIT));
    } finally {
      close(fd);
    }
  } catch (error) {
    if (isErrno(error, "ELOOP", "EISDIR", "EINVAL", "ENXIO")) return ""; // no file to read
    throw error;
  }
}
