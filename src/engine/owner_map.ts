/** Which ids the files of a bind have in a container: `-v SRC:DST:idmap`. Pure but for {@link bindOwner}. */
import { AT_FDCWD, AT_STATX_DONT_SYNC } from "../linux/fd.ts";
import { statIfExists } from "../linux/file.ts";
import type { IdMapping } from "../runtime/spec.ts";
import type { IdRange } from "./id_range.ts";

/** A user and a group by number. */
export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/** As an entry of `mounts` in config.json has them: from the ids on disk to those of the host that are shown. */
export interface OwnerMap {
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
}

/** All ids of the host: the last one of 32 bits means nobody (user_namespaces(7)). */
const HOST: IdMapping = { containerID: 0, hostID: 0, size: 0xffffffff };

/**
 * What the container's user leaves belongs on disk to the owner of the directory, and the other way
 * round. All others are who they are, but for whoever would be taken for one of these two: root's
 * files, for instance, are nobody's then, and the container cannot change them.
 * @param owner of the directory, on disk
 * @param user whom the container's process runs as, as the container numbers them
 * @param ids of a user namespace of its own
 * @returns undefined when all ids stay what they are
 */
export function ownerMap(owner: Ids, user: Ids, ids?: IdRange): OwnerMap | undefined {
  if (ids === undefined && owner.uid === user.uid && owner.gid === user.gid) return undefined;
  return {
    uidMappings: mappings(owner.uid, user.uid, ids?.uid ?? HOST),
    gidMappings: mappings(owner.gid, user.gid, ids?.gid ?? HOST),
  };
}

function mappings(owner: number, user: number, { hostID, size }: IdMapping): IdMapping[] {
  if (owner === user && owner < size) return [{ containerID: 0, hostID, size }];
  const found: IdMapping[] = [{ containerID: owner, hostID: hostID + user, size: 1 }];
  let from = 0;
  for (const end of [owner, user, size].sort((a, b) => a - b)) {
    const to = Math.min(end, size);
    if (to > from) found.push({ containerID: from, hostID: hostID + from, size: to - from });
    from = Math.max(from, end + 1);
  }
  return found;
}

/** Who owns the source of a bind; root, if it is yet to be made. */
export function bindOwner(source: string): Ids {
  return statIfExists(source, AT_FDCWD, AT_STATX_DONT_SYNC) ?? { uid: 0, gid: 0 };
}
