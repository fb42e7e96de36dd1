/** Which ids of the host stand for those of a container in a user namespace of its own. Pure. */
import { MydockerError } from "../errors.ts";
import type { IdMapping } from "../runtime/spec.ts";

/** Ids of a container: all that files of images have, as a rule. */
export const RANGE_SIZE = 0x10000;

/** Who has ids in /etc/subuid and /etc/subgid for us. */
const OWNER = "mydocker";

/** What systemd takes for containers, and useradd(8) for nobody (uid-gid.md of systemd). */
const FIRST = 0x80000;
const END = 0x70000000;

/** Files of /etc as far as they are there: each line has fields apart by colons. */
export interface IdFiles {
  /** subuid(5), subgid(5) */
  readonly subuid: string;
  readonly subgid: string;
  readonly passwd: string;
  readonly group: string;
}

/** What the ids of a container are on the host. */
export interface IdRange {
  readonly uid: IdMapping;
  readonly gid: IdMapping;
}

interface Range {
  readonly start: number;
  readonly size: number;
}

/**
 * The range of a container: by its id, so that two have the same by chance only, and it has the
 * same one at each start. In `mydocker`'s ranges of /etc/subuid and /etc/subgid, if there are any;
 * else outside of everybody's.
 * @throws {MydockerError} when there is no room for one
 */
export function rangeOf(id: string, files: IdFiles): IdRange {
  const chance = Number.parseInt(id.slice(0, 8), 16);
  const own = { uid: subordinate(files.subuid, OWNER), gid: subordinate(files.subgid, OWNER) };
  if (own.uid.length > 0 || own.gid.length > 0) {
    const map = (kind: "uid" | "gid") => mapping(pick(own[kind], chance, `/etc/sub${kind}`));
    return { uid: map("uid"), gid: map("gid") };
  }
  const taken = [
    ...[files.subuid, files.subgid].flatMap((file) => subordinate(file)),
    ...[files.passwd, files.group].flatMap(single),
  ];
  const count = (END - FIRST) / RANGE_SIZE;
  for (let attempt = 0; attempt < count; attempt++) {
    const start = FIRST + ((chance + attempt) % count) * RANGE_SIZE;
    const isTaken = ({ start: from, size }: Range) =>
      from < start + RANGE_SIZE && start < from + size;
    if (!taken.some(isTaken)) return { uid: mapping(start), gid: mapping(start) };
  }
  throw new MydockerError("no 65536 ids in a row are free for a user namespace", {
    exitCode: 125,
    hint: `give some to ${OWNER} in /etc/subuid and /etc/subgid`,
  });
}

const mapping = (hostID: number): IdMapping => ({ containerID: 0, hostID, size: RANGE_SIZE });

function pick(ranges: readonly Range[], chance: number, file: string): number {
  const starts = ranges.flatMap(({ start, size }) =>
    Array.from({ length: Math.floor(size / RANGE_SIZE) }, (_, slot) => start + slot * RANGE_SIZE),
  );
  const start = starts[chance % starts.length];
  if (start !== undefined) return start;
  throw new MydockerError(`${file} has no ${RANGE_SIZE} ids in a row for ${OWNER}`, {
    exitCode: 125,
  });
}

/** `name:start:count` lines. @param owner whose; absent: everybody's */
function subordinate(file: string, owner?: string): Range[] {
  return file.split("\n").flatMap((line) => {
    const [, name, start, size] = /^([^:#]+):(\d+):(\d+)\s*$/.exec(line) ?? [];
    if (name === undefined || (owner !== undefined && name !== owner)) return [];
    return [{ start: Number(start), size: Number(size) }];
  });
}

/** The ids of passwd(5) and group(5). */
function single(file: string): Range[] {
  return [...file.matchAll(/^[^:\n]+:[^:\n]*:(\d+):/gm)].map(([, id]) => ({
    start: Number(id),
    size: 1,
  }));
}
