/** Ids of files on their way between the host and a container with a user namespace of its own. */
import { MydockerError } from "../errors.ts";
import type { IdMapping } from "../namespaces/join.ts";

/** What the kernel shows for an id that a user namespace does not have (Documentation/admin-guide/sysctl/fs.rst, overflowuid). */
const OVERFLOW = 65534;

/** An owner. */
export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/** The mappings of a user namespace, read both ways; none means that ids are the same. */
export class IdTranslation {
  /** Ids are the same. */
  static readonly NONE = new IdTranslation([], []);

  constructor(
    private readonly uids: readonly IdMapping[],
    private readonly gids: readonly IdMapping[],
  ) {}

  /** Whether ids are the same. */
  get isNone(): boolean {
    return this.uids.length === 0;
  }

  /** What the container calls an owner on the host. */
  toContainer<T extends Ids>(file: T): T {
    if (this.isNone) return file;
    const uid = translate(this.uids, file.uid, "hostID", "containerID") ?? OVERFLOW;
    const gid = translate(this.gids, file.gid, "hostID", "containerID") ?? OVERFLOW;
    return { ...file, uid, gid };
  }

  /** Who that is on the host. @throws {MydockerError} when the container has no such id */
  toHost<T extends Ids>(file: T): T {
    if (this.isNone) return file;
    const uid = translate(this.uids, file.uid, "containerID", "hostID");
    const gid = translate(this.gids, file.gid, "containerID", "hostID");
    if (uid === undefined || gid === undefined) {
      throw new MydockerError(
        `the container's user namespace has no owner ${file.uid}:${file.gid}`,
      );
    }
    return { ...file, uid, gid };
  }
}

function translate(
  mappings: readonly IdMapping[],
  id: number,
  from: "containerID" | "hostID",
  to: "containerID" | "hostID",
): number | undefined {
  for (const mapping of mappings) {
    const offset = id - mapping[from];
    if (offset >= 0 && offset < mapping.size) return mapping[to] + offset;
  }
  return undefined;
}
