/** The overlay file system, tried on a tmpfs that nobody else sees. */
import { chdir, mkdir, writeControl } from "../../linux/file.ts";
import { fileSystemUsage, MS, mount, umount } from "../../linux/mount.ts";
import { CLONE } from "../../linux/process.ts";
import type { Paths } from "../../paths.ts";
import { unfitForLayers } from "../../storage/overlay.ts";
import { defineCheck, type Finding, failure, ok, warning } from "./check.ts";
import { type Outcome, tryInNamespaces } from "./probe.ts";
import { nearestExisting } from "./space.ts";

/** What was tried. */
export interface OverlayFacts {
  readonly plain: Outcome;
  /** by mount option */
  readonly features: Readonly<Record<string, Outcome>>;
  /** as root of a user namespace */
  readonly inUserNamespace: Outcome;
  /** what the state root is on, if no container's layer can be there */
  readonly unfit?: string;
  readonly root: string;
}

const FEATURES = ["redirect_dir=on", "metacopy=on", "index=on", "volatile"];

/** Where the tmpfs goes: nothing else is looked for in that namespace. */
const PLACE = "/proc";

function prepare(): void {
  mount(null, "/", null, MS.MS_REC | MS.MS_PRIVATE);
  mount("tmpfs", PLACE, "tmpfs", 0, "size=1m");
  chdir(PLACE);
}

/** Before that root is mapped: who has no id makes no files (user_namespaces(7)). */
function prepareInUser(): void {
  writeControl("/proc/self/setgroups", "deny");
  for (const file of ["uid_map", "gid_map"]) writeControl(`/proc/self/${file}`, "0 0 1");
  prepare();
}

let tried = 0;

function tryOverlay(option?: string): void {
  const name = `try${tried++}`;
  for (const path of [
    name,
    ...["lower", "upper", "work", "merged"].map((part) => `${name}/${part}`),
  ])
    mkdir(path);
  const layers = `lowerdir=${name}/lower,upperdir=${name}/upper,workdir=${name}/work`;
  mount(
    "overlay",
    `${name}/merged`,
    "overlay",
    0,
    option === undefined ? layers : `${layers},${option}`,
  );
  umount(`${name}/merged`);
}

const NAME = "overlay";
const WHY = "a container's own layer is stacked on its image's by overlayfs";

/** Mounts overlays. */
export const overlay = defineCheck({
  name: NAME,
  why: WHY,
  read({ root }: Paths): OverlayFacts {
    const acts = [undefined, ...FEATURES].map((option) => () => tryOverlay(option));
    const [ready, plain, ...features] = tryInNamespaces(CLONE.CLONE_NEWNS, [prepare, ...acts]);
    const [readyInUser, inUser] = tryInNamespaces(CLONE.CLONE_NEWUSER | CLONE.CLONE_NEWNS, [
      prepareInUser,
      () => tryOverlay("userxattr"),
    ]);
    const unfit = unfitForLayers(fileSystemUsage(nearestExisting(root)).magic);
    return {
      plain: firstFailure(ready, plain),
      features: Object.fromEntries(
        FEATURES.map((option, index) => [option.split("=")[0], features[index] as Outcome]),
      ),
      inUserNamespace: firstFailure(readyInUser, inUser),
      root,
      ...(unfit === undefined ? {} : { unfit }),
    };
  },
  judge: judgeOverlay,
});

const firstFailure = (...outcomes: readonly (Outcome | undefined)[]): Outcome =>
  outcomes.find((outcome) => outcome?.works === false) ?? { works: true };

function judgeOverlay({ plain, features, inUserNamespace, unfit, root }: OverlayFacts): Finding[] {
  const place =
    unfit === undefined
      ? []
      : [
          warning(
            "overlay layers",
            `${root} is on ${unfit}`,
            "overlayfs needs a local file system with extended attributes for a container's layer",
            "set MYDOCKER_ROOT to a folder on ext4, xfs, btrfs or tmpfs",
          ),
        ];
  if (!plain.works) {
    const fix =
      plain.code === "ENODEV"
        ? "load it: `modprobe overlay`, or boot a kernel with CONFIG_OVERLAY_FS"
        : "start mydocker as root, outside of a sandbox that forbids mounts";
    return [failure(NAME, plain.message, WHY, fix)];
  }
  const lacking = Object.entries(features).flatMap(([name, { works }]) => (works ? [] : [name]));
  return [
    ok(NAME, "can be mounted", WHY),
    ...place,
    lacking.length === 0
      ? ok("overlay features", Object.keys(features).join(", "), WHY_FEATURES)
      : warning(
          "overlay features",
          `without ${lacking.join(", ")}`,
          WHY_FEATURES,
          "boot Linux 5.10 or newer",
        ),
    inUserNamespace.works
      ? ok("overlay in user namespaces", "can be mounted", WHY_USER)
      : warning(
          "overlay in user namespaces",
          inUserNamespace.message,
          WHY_USER,
          "boot Linux 5.11 or newer, and see to user namespaces first",
        ),
  ];
}

const WHY_FEATURES =
  "renaming directories and changing owners without copying, hard links that stay";
const WHY_USER = "containers that mount overlays inside, and mydocker without root, need it";
