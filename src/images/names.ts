/** Names of images: one small file each, replaced under its own lock. */

import { MydockerError } from "../errors.ts";
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { isErrno, SysError } from "../ffi/call.ts";
import { readDirectory, removeTree } from "../linux/directory.ts";
import { AT_FDCWD, close, flock, fsync, LOCK_EX, LOCK_SH, O, open, writeAll } from "../linux/fd.ts";
import {
  ifExists,
  link,
  makeDirectories,
  readFileBytes,
  rename,
  stat,
  statFd,
  unlink,
} from "../linux/file.ts";
import { syncDirectory } from "../linux/replace_file.ts";
import { lockDirectory } from "../staging/locks.ts";
import type { Staging } from "../staging/staging.ts";
import { SHA256 } from "./image_config.ts";
import type { StoreLayout } from "./layout.ts";
import {
  familiarReference,
  formatReference,
  InvalidReferenceError,
  parseReference,
  type Reference,
} from "./reference.ts";

/** What a name stands for. */
export interface NameRecord {
  /** `sha256:…` of the image's configuration. */
  readonly id: string;
  readonly reference: Reference;
  /** The name was given to the image inside the executable, and moves when that changes. */
  readonly embedded: boolean;
}

/** A name whose file does not say what it stands for. Other names are not affected. */
export class DamagedNameError extends MydockerError {
  override readonly name = "DamagedNameError";
}

/** @throws {DamagedNameError} */
export function readName(layout: StoreLayout, reference: Reference): NameRecord | undefined {
  return readRecord(layout.name(reference));
}

function readRecord(path: string): NameRecord | undefined {
  try {
    const bytes = ifExists(() => readFileBytes(path));
    if (bytes === undefined) return undefined;
    const record = JSON.parse(decodeBytes(bytes));
    if (!SHA256.test(record.id)) throw new TypeError("bad id");
    return {
      id: record.id,
      reference: parseReference(record.reference),
      embedded: record.embedded === true,
    };
  } catch (cause) {
    if (cause instanceof SysError && cause.code !== "EISDIR") throw cause;
    const name = nameInPath(path);
    throw new DamagedNameError(`an image's name is damaged: ${path}`, {
      cause,
      hint:
        name === undefined
          ? "remove that file, and import the image again"
          : `\`mydocker rmi -f ${name}\` removes it`,
    });
  }
}

/** The name that a file is for, if it is not the digest of a long one ({@link StoreLayout.name}). */
function nameInPath(path: string): string | undefined {
  const text = path.slice(path.lastIndexOf("/") + 1).replaceAll("%2F", "/");
  try {
    return text.includes("/") ? familiarReference(parseReference(text)) : undefined;
  } catch (error) {
    if (error instanceof InvalidReferenceError) return undefined;
    throw error;
  }
}

/** All names, and what is wrong with those that cannot be read. */
export function listNames(layout: StoreLayout): { names: NameRecord[]; problems: unknown[] } {
  const names: NameRecord[] = [];
  const problems: unknown[] = [];
  for (const file of ifExists(() => readDirectory(layout.names)) ?? []) {
    try {
      const record = readRecord(`${layout.names}/${file}`);
      if (record !== undefined) names.push(record);
    } catch (error) {
      problems.push(error);
    }
  }
  return { names, problems };
}

/** Opens and locks a name's file. @returns undefined when there is none */
function lockName(path: string): number | undefined {
  for (;;) {
    const fd = ifExists(() => open(path, O.O_RDONLY));
    if (fd === undefined) return undefined;
    flock(fd, LOCK_EX);
    // It may have been replaced while we waited: then the lock is on a file that no one sees.
    const now = ifExists(() => stat(path));
    if (now !== undefined && now.ino === statFd(fd).ino) return fd;
    close(fd);
  }
}

/** Gives a name to an image, taking it from the one that has it. */
export function writeName(
  layout: StoreLayout,
  staging: Staging,
  record: NameRecord,
  options: { readonly onlyIfAbsent?: boolean } = {},
): void {
  const temporary = `${staging.path}/name`;
  writeRecord(layout, temporary, record);
  putName(temporary, layout.name(record.reference), options.onlyIfAbsent === true);
  syncDirectory(layout.names);
}

/** What files of names are called that an image will have when it is in its place. */
const PREPARED = "name-";

/**
 * Writes names down before their image is placed: from then on it gets them, by {@link giveNames},
 * from whoever places it or, if that one is killed, from whoever finds its staging directory.
 * @param staging none of its names is there from before
 */
export function prepareNames(
  layout: StoreLayout,
  staging: Staging,
  id: string,
  references: readonly Reference[],
): void {
  references.forEach((reference, index) => {
    const record = { id, reference, embedded: false };
    writeRecord(layout, `${staging.path}/${PREPARED}${index}`, record);
  });
  if (references.length > 0) syncDirectory(staging.path);
}

/**
 * Gives the names that {@link prepareNames} wrote to their images, if these are in their place.
 * @param directory of the staging
 */
export function giveNames(layout: StoreLayout, directory: string): void {
  const files = (ifExists(() => readDirectory(directory)) ?? []).filter((name) =>
    name.startsWith(PREPARED),
  );
  for (const path of files.map((file) => `${directory}/${file}`)) {
    try {
      const record = readRecord(path);
      if (record === undefined) continue;
      // Not removed meanwhile, nor while it gets its name.
      using held = lockDirectory(layout.image(record.id), LOCK_SH);
      if (held !== undefined) putName(path, layout.name(record.reference), false);
    } catch (error) {
      if (!(error instanceof DamagedNameError)) throw error; // killed while it was written
    }
    ifExists(() => unlink(path));
  }
  if (files.length > 0) syncDirectory(layout.names);
}

function writeRecord(layout: StoreLayout, path: string, record: NameRecord): void {
  const { id, embedded, reference } = record;
  const text = JSON.stringify({
    id,
    reference: formatReference(reference),
    ...(embedded ? { embedded } : {}),
  });
  const fd = open(path, O.O_WRONLY | O.O_CREAT | O.O_TRUNC, 0o600);
  try {
    writeAll(fd, encodeBytes(`${text}\n`), layout.name(reference));
    fsync(fd);
  } finally {
    close(fd);
  }
  makeDirectories(layout.names);
}

/** Moves a name's file to its place, whatever is there, or only if nothing is. */
function putName(temporary: string, path: string, onlyIfAbsent: boolean): void {
  for (;;) {
    const locked = lockName(path);
    if (locked !== undefined) {
      try {
        if (!onlyIfAbsent) replaceName(temporary, path);
      } finally {
        close(locked);
      }
      return;
    }
    try {
      link(AT_FDCWD, temporary, AT_FDCWD, path);
      unlink(temporary);
      return;
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
  }
}

function replaceName(temporary: string, path: string): void {
  try {
    rename(temporary, path);
  } catch (error) {
    if (!isErrno(error, "EISDIR")) throw error;
    removeTree(path); // somebody put a directory there
    rename(temporary, path);
  }
}

/** Removes the file of a name that is damaged. @returns whether there was one */
export function removeDamagedName(layout: StoreLayout, reference: Reference): boolean {
  const path = layout.name(reference);
  const locked = lockName(path);
  if (locked === undefined) return false;
  try {
    readRecord(path);
    return false;
  } catch (error) {
    if (!(error instanceof DamagedNameError)) throw error;
    removeTree(path);
  } finally {
    close(locked);
  }
  syncDirectory(layout.names);
  return true;
}

/** Takes a name away from an image. @returns whether it was that image's */
export function removeName(layout: StoreLayout, reference: Reference, id: string): boolean {
  const path = layout.name(reference);
  const locked = lockName(path);
  if (locked === undefined) return false;
  try {
    if (readRecord(path)?.id !== id) return false;
    unlink(path);
  } finally {
    close(locked);
  }
  syncDirectory(layout.names);
  return true;
}
