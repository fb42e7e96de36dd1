/** The state directories: room, inodes, and who can get at them. */
import { S_IFDIR, S_IFMT, statIfExists } from "../../linux/file.ts";
import { type FileSystemUsage, fileSystemUsage } from "../../linux/mount.ts";
import type { Paths } from "../../paths.ts";
import { defineCheck, type Finding, failure, ok, warning } from "./check.ts";

/** One of the two directories. */
export interface StateDirectory {
  readonly path: string;
  /** It is there, as a directory; absent: it will be made. */
  readonly mode?: number;
  readonly uid?: number;
  /** It is there, and is no directory. */
  readonly otherFile?: boolean;
  readonly usage: Omit<FileSystemUsage, "magic">;
}

/** The path, or the first directory above it that is there. */
export function nearestExisting(path: string): string {
  let at = path;
  while (at !== "" && statIfExists(at) === undefined) at = at.slice(0, at.lastIndexOf("/"));
  return at === "" ? "/" : at;
}

function look(path: string): StateDirectory {
  const usage = fileSystemUsage(nearestExisting(path));
  const file = statIfExists(path);
  if (file === undefined) return { path, usage };
  if ((file.mode & S_IFMT) !== S_IFDIR) return { path, usage, otherFile: true };
  return { path, usage, mode: file.mode & 0o777, uid: file.uid };
}

const WHY = "images, containers and the files of running ones are kept there";

/** Less than this, and not even the default image can be unpacked, or a container's files made. */
const NEEDED = { bytes: 2 ** 20, inodes: 32 } as const;
/** Less than this is soon used up. */
const WANTED = { bytes: 2 ** 28, inodes: 4096 } as const;
/** The run directory holds small files only. */
const WANTED_RUN = { bytes: 2 ** 24, inodes: 1024 } as const;

/** Root directory and run directory. */
export const stateDirectories = defineCheck({
  name: "state directories",
  why: WHY,
  read: ({ root, run }: Paths) => ({ root: look(root), run: look(run) }),
  judge: ({ root, run }) => [
    ...judgeDirectory("state root", root, WANTED, "MYDOCKER_ROOT"),
    ...judgeDirectory("run directory", run, WANTED_RUN, "MYDOCKER_RUN"),
  ],
});

function judgeDirectory(
  name: string,
  { path, mode, uid, otherFile, usage }: StateDirectory,
  wanted: { readonly bytes: number; readonly inodes: number },
  variable: string,
): Finding[] {
  const elsewhere = `set ${variable} to a folder elsewhere`;
  if (otherFile === true)
    return [failure(name, `${path} is no directory`, WHY, `move that file away, or ${elsewhere}`)];
  if (usage.readOnly)
    return [
      failure(
        name,
        `${path} is on a read-only file system`,
        WHY,
        `\`mount -o remount,rw\` it, or ${elsewhere}`,
      ),
    ];
  return [
    judgeAccess(name, path, mode, uid),
    judgeAmount(
      `${name}: space`,
      `${Math.floor(usage.free / 2 ** 20)} MiB free`,
      usage.free,
      NEEDED.bytes,
      wanted.bytes,
      `make room on the file system of ${path} (\`df ${path}\`), remove images by \`mydocker rmi\`, or ${elsewhere}`,
    ),
    // 0: made as they are needed, as by btrfs.
    ...(usage.inodes === 0
      ? []
      : [
          judgeAmount(
            `${name}: inodes`,
            `${usage.freeInodes} free`,
            usage.freeInodes,
            NEEDED.inodes,
            wanted.inodes,
            `remove files on the file system of ${path} (\`df -i ${path}\`), or ${elsewhere}`,
          ),
        ]),
  ];
}

function judgeAccess(
  name: string,
  path: string,
  mode: number | undefined,
  uid: number | undefined,
): Finding {
  if (mode === undefined || uid === undefined) return ok(name, `${path}, which will be made`, WHY);
  if (uid === 0 && (mode & 0o077) === 0) return ok(name, path, WHY);
  return warning(
    name,
    uid === 0 ? `${path} has mode ${mode.toString(8)}` : `${path} belongs to uid ${uid}`,
    "others reach set-uid programs of images there, and what containers keep secret",
    `\`chown root:root ${path} && chmod 700 ${path}\``,
  );
}

function judgeAmount(
  name: string,
  found: string,
  free: number,
  needed: number,
  wanted: number,
  fix: string,
): Finding {
  const why = "images and layers are written there";
  if (free < needed) return failure(name, found, why, fix);
  return free < wanted ? warning(name, found, why, fix) : ok(name, found, why);
}
