/** What commands that were killed left behind. Only looked at: others clean it up. */
import { readLayout } from "../../cgroups/layout.ts";
import { StoreLayout } from "../../images/layout.ts";
import { readDirectory } from "../../linux/directory.ts";
import { ifExists, readFile, statIfExists } from "../../linux/file.ts";
import type { Paths } from "../../paths.ts";
import { isContainerId } from "../container_id.ts";
import { ContainerStore } from "../container_store.ts";
import { ownerOf } from "../ownership.ts";
import { defineCheck, type Finding, ok, warning } from "./check.ts";

/** Ids and paths. */
export interface StaleFacts {
  /** containers whose owner was killed, or that were never finished */
  readonly orphans: readonly string[];
  /** with files that cannot be read */
  readonly damaged: readonly string[];
  /** on the host, below the state directories */
  readonly mounts: readonly string[];
  /** of nobody's container, with nothing in them */
  readonly cgroups: readonly string[];
  /** half made images and layers */
  readonly staged: readonly string[];
}

const entries = (path: string): string[] => ifExists(() => readDirectory(path)) ?? [];

function look(paths: Paths): StaleFacts {
  const { root, run } = paths;
  const store = new ContainerStore(paths);
  const known = entries(`${root}/containers`).filter(isContainerId);
  const claimed = entries(`${run}/owners`).filter(isContainerId);
  // To ask who owns one takes the file of all locks, which no look may make.
  const hasLocks = statIfExists(`${run}/lock`) !== undefined;
  const isOwned = (id: string) => hasLocks && ownerOf(paths, id) !== undefined;
  const damaged = known.filter((id) => !isOwned(id) && store.isDamaged(id));
  const unfinished = known.filter((id) => !damaged.includes(id) && store.read(id) === undefined);
  const orphans = [...new Set([...claimed, ...unfinished])].filter((id) => !isOwned(id));
  return {
    orphans,
    damaged,
    mounts: mountsBelow([root, run], readFile("/proc/self/mountinfo")),
    cgroups: emptyCgroups().filter((path) => !isOwned(path.slice(path.lastIndexOf("/") + 1))),
    staged: entries(new StoreLayout(root).staging),
  };
}

/** Mount points below these directories; a directory itself may be one. Pure. */
export function mountsBelow(directories: readonly string[], mountinfo: string): string[] {
  return mountinfo.split("\n").flatMap((line) => {
    const point = line.split(" ")[4];
    return point !== undefined && directories.some((path) => point.startsWith(`${path}/`))
      ? [point]
      : [];
  });
}

/** Cgroups where containers' are by default, without a process. Of a container that is being made there may be one, too. */
function emptyCgroups(): string[] {
  const { v1, v2 } = readLayout();
  return [...v1, ...(v2 === undefined ? [] : [v2])].flatMap(({ mountPoint }) =>
    entries(`${mountPoint}/mydocker`)
      .filter(isContainerId)
      .map((id) => `${mountPoint}/mydocker/${id}`)
      .filter((path) => ifExists(() => readFile(`${path}/cgroup.procs`)) === "")
      .filter((path) => (statIfExists(path)?.nlink ?? 2) <= 2),
  );
}

const WHY = "what a killed command leaves takes room, and names that others want";
const NAME = "stale state";

/** Whether something of ours is left over. */
export const staleState = defineCheck({
  name: NAME,
  why: WHY,
  read: look,
  judge({ orphans, damaged, mounts, cgroups, staged }): Finding[] {
    const short = (ids: readonly string[]) => listed(ids.map((id) => id.slice(0, 12)));
    const findings: Finding[] = [];
    const add = (items: readonly string[], found: string, fix: string) => {
      if (items.length > 0) findings.push(warning(NAME, found, WHY, fix));
    };
    const ids = damaged.map((id) => id.slice(0, 12)).join(" ");
    add(
      orphans,
      `containers that a killed command left: ${short(orphans)}`,
      "`mydocker ps` finishes its work",
    );
    add(
      staged,
      `half made images: ${listed(staged)}`,
      "`mydocker images` removes them, unless one is being made",
    );
    add(
      damaged,
      `containers with damaged files: ${short(damaged)}`,
      `remove them: \`mydocker rm -f ${ids}\``,
    );
    add(
      mounts,
      `mounted on the host: ${listed(mounts)}`,
      `\`umount ${mounts.toReversed().join(" ")}\``,
    );
    const parents = [...new Set(cgroups.map((path) => path.slice(0, path.lastIndexOf("/"))))];
    const left = [...new Set(cgroups.map((path) => path.slice(path.lastIndexOf("/") + 1)))];
    add(
      left,
      `empty cgroups of no container: ${short(left)}`,
      `while no container is being started: \`rmdir ${parents.map((path) => `${path}/*/`).join(" ")}\`, which leaves those in use`,
    );
    return findings.length > 0 ? findings : [ok(NAME, "none", WHY)];
  },
});

/** How many are named. */
const SHOWN = 5;

const listed = (items: readonly string[]): string =>
  items.length <= SHOWN
    ? items.join(", ")
    : `${items.slice(0, SHOWN).join(", ")} and ${items.length - SHOWN} more`;
