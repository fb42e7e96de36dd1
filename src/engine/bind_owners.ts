/** Binds of a container that are to belong to their owner, looked up. */
import { MydockerError } from "../errors.ts";
import { close } from "../linux/fd.ts";
import { AccountError, resolveAccount } from "../runtime/account.ts";
import type { CreatedContainer } from "./create.ts";
import type { IdRange } from "./id_range.ts";
import { bindOwner, type Ids, type OwnerMap, ownerMap } from "./owner_map.ts";
import { openRoot } from "./volumes.ts";

/**
 * The ids of each bind with `idmap`, by where it is mounted; of one that shows what it has, none.
 * @throws {MydockerError} when the image does not know the container's user
 */
export function bindOwners(
  container: Pick<CreatedContainer, "paths" | "record" | "root">,
  ids: IdRange | undefined,
): ReadonlyMap<string, OwnerMap> {
  const user = userOf(container);
  const owners = new Map<string, OwnerMap>();
  for (const mount of container.record.options.mounts) {
    if (mount.type !== "bind" || mount.idmap !== true) continue;
    const map = ownerMap(bindOwner(mount.source), user, ids);
    if (map !== undefined) owners.set(mount.target, map);
  }
  return owners;
}

/** Whom the container's process runs as, by the passwd file of its image: its own layer is not looked at. */
function userOf({ paths, record, root }: Pick<CreatedContainer, "paths" | "record" | "root">): Ids {
  const user = record.options.user ?? root.config.User ?? "";
  if (["", "0", "0:0", "root", "root:root"].includes(user)) return { uid: 0, gid: 0 };
  const rootFd = openRoot(paths, root.layers);
  try {
    return resolveAccount(rootFd, { user, additionalGroups: [] });
  } catch (cause) {
    if (!(cause instanceof AccountError)) throw cause;
    throw new MydockerError(cause.message, { exitCode: 125, cause });
  } finally {
    close(rootFd);
  }
}
