/**
 * What a listing found of containers that have ended, for the next one, where there are so many that
 * to read two files of each takes long. It counts for as long as the directories of owners, names and
 * containers are as they were: who makes, starts, ends or removes a container makes and removes the
 * file of its owner, and who renames one makes a name. Those that have an owner are always looked at.
 */
import { SysError } from "../ffi/call.ts";
import { ifExists, readFile, statIfExists } from "../linux/file.ts";
import { replaceFile } from "../linux/replace_file.ts";
import type { Paths } from "../paths.ts";
import type { ExitRecord } from "./container_record.ts";

/** Seconds for which nothing was changed: within one tick of the clock two changes have one time. */
const SETTLED = 2;
/** Of another version it is not read. */
const VERSION = 1;

/** A container that has ended, as it is listed. */
export interface EndedContainer<T extends { readonly id: string }> {
  readonly record: T;
  readonly exit: ExitRecord;
}

/** The state of the directories: inode and time of change of each. */
export type Stamp = readonly (readonly [ino: number, seconds: number, nanoseconds: number])[];

interface Cache<T extends { readonly id: string }> {
  readonly version: number;
  readonly stamp: Stamp;
  readonly ended: readonly EndedContainer<T>[];
}

const cacheIn = ({ run }: Paths): string => `${run}/ended.json`;

/** As the directories are now; undefined when one is not there. */
export function stampOf({ root, run }: Paths): Stamp | undefined {
  const stats = [`${run}/owners`, `${root}/names`, `${root}/containers`].map((path) =>
    statIfExists(path),
  );
  const stamp = stats.flatMap((stat) =>
    stat === undefined ? [] : [[stat.ino, stat.mtime, stat.mtimeNsec] as const],
  );
  return stamp.length === stats.length ? stamp : undefined;
}

/** What a listing of before found, by id, if it still counts. @param stamp from before anything is looked at */
export function readEnded<T extends { readonly id: string }>(
  paths: Paths,
  stamp: Stamp | undefined,
): ReadonlyMap<string, EndedContainer<T>> | undefined {
  const text = stamp === undefined ? undefined : ifExists(() => readFile(cacheIn(paths)));
  if (text === undefined) return undefined;
  try {
    const cache: Cache<T> = JSON.parse(text);
    const isSame = JSON.stringify(cache.stamp) === JSON.stringify(stamp);
    if (cache.version !== VERSION || !isSame) return undefined;
    return new Map(cache.ended.map((each) => [each.record.id, each]));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Keeps what a listing found. @param stamp from before anything was looked at */
export function writeEnded<T extends { readonly id: string }>(
  paths: Paths,
  stamp: Stamp | undefined,
  ended: readonly EndedContainer<T>[],
): void {
  if (stamp === undefined) return;
  const latest = Math.max(...stamp.map(([, seconds]) => seconds));
  if (Date.now() / 1000 - latest < SETTLED) return;
  try {
    replaceFile(cacheIn(paths), JSON.stringify({ version: VERSION, stamp, ended }));
  } catch (error) {
    if (!(error instanceof SysError)) throw error; // a full disk does not keep anybody from listing
  }
}
