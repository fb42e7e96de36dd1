/** ID-mapped mounts on the file system of the state root: mount_setattr(2), MOUNT_ATTR_IDMAP. */
import { AT_FDCWD, close } from "../../linux/fd.ts";
import { cloneTree } from "../../linux/mount.ts";
import type { Paths } from "../../paths.ts";
import { mapIds } from "../../rootfs/id_map.ts";
import { defineCheck, ok, warning } from "./check.ts";
import { attempted, type Outcome } from "./probe.ts";
import { nearestExisting } from "./space.ts";

const NAME = "ID-mapped mounts";
const WHY = "`run --userns private` shows images and layers with the container's ids by them";
/** Any range will do: nobody ever sees the mount. */
const IDS = [{ containerID: 0, hostID: 2 ** 19, size: 2 ** 16 }];

/** Where layers are, and how it goes there. */
export interface IdMapFacts {
  readonly root: string;
  readonly outcome: Outcome;
}

/** One mount, attached nowhere. */
export const idMappedMounts = defineCheck({
  name: NAME,
  why: WHY,
  read({ root }: Paths): IdMapFacts {
    const path = nearestExisting(root);
    const outcome = attempted(() => {
      const tree = cloneTree(AT_FDCWD, path, false);
      try {
        mapIds(tree, { uid: IDS, gid: IDS, recursive: false }, path);
      } finally {
        close(tree);
      }
    });
    return { root, outcome };
  },
  judge: ({ root, outcome }) => [
    outcome.works
      ? ok(NAME, `can be made of ${root}`, WHY)
      : warning(
          NAME,
          outcome.message,
          WHY,
          "see to user namespaces first; else set MYDOCKER_ROOT to a folder on ext4, xfs or btrfs, or boot Linux 6.3 or newer for tmpfs",
        ),
  ],
});
