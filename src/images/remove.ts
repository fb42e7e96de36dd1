/** `mydocker rmi`: names and images go, and the layers that no image has any more. */
import { MydockerError, NotFoundError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { LOCK_EX } from "../linux/fd.ts";
import { makeDirectories, rename, statIfExists } from "../linux/file.ts";
import { syncDirectory } from "../linux/replace_file.ts";
import { lockDirectory } from "../staging/locks.ts";
import type { Staging } from "../staging/staging.ts";
import { collectLayers } from "./collect.ts";
import { DamagedImageError } from "./image.ts";
import { sha256Hex } from "./layout.ts";
import { listNames, type NameRecord, readName, removeDamagedName, removeName } from "./names.ts";
import {
  familiarReference,
  fullName,
  InvalidReferenceError,
  parseReference,
  type Reference,
  withDefaultTag,
} from "./reference.ts";
import type { ImageStore } from "./store.ts";

/** A container of an image. */
export interface ImageUser {
  readonly id: string;
  readonly running: boolean;
}

/** What `rmi` is told, and what it must know of containers. */
export interface RemoveOptions {
  readonly force?: boolean;
  /** The containers that were made of an image. */
  readonly usedBy: (id: string) => readonly ImageUser[];
}

/** A line of `rmi`'s output: `Untagged: busybox:latest`, `Deleted: sha256:…`. */
export interface Removed {
  readonly action: "Untagged" | "Deleted";
  readonly what: string;
  /** The image that it happened to; absent for a layer. */
  readonly imageId?: string;
}

/** Something keeps the image; Docker's HTTP status 409. */
export class ImageConflictError extends MydockerError {
  override readonly name = "ImageConflictError";
}

/** Ids in messages are as short as in `ps`. */
const short = (id: string) => id.replace("sha256:", "").slice(0, 12);

/**
 * Removes what `text` names, by the rules of Docker (moby, daemon/images/image_delete.go): a name
 * goes, and the image with it if it was the last one; an id takes the image with all its names if
 * they are of one repository, or by force.
 * @returns what was done, in order
 * @throws {ImageConflictError} when a container or another name keeps it
 * @throws {MydockerError} `No such image`
 */
export function removeImage(store: ImageStore, text: string, options: RemoveOptions): Removed[] {
  const force = options.force === true;
  const damagedName = force ? removeIfDamaged(store, text) : undefined;
  if (damagedName !== undefined) return [{ action: "Untagged", what: damagedName }];
  const target = find(store, text);
  const { id, byId } = target;
  const removed: Removed[] = [];
  using staging = store.stage();
  using locked = lockDirectory(store.layout.image(id), LOCK_EX);
  const names = () => listNames(store.layout).names.filter((name) => name.id === id);
  const untag = (name: NameRecord) => {
    if (removeName(store.layout, name.reference, id))
      removed.push({ action: "Untagged", what: familiarReference(name.reference), imageId: id });
  };

  if (!byId) {
    const container = options.usedBy(id)[0];
    if (!force && isSingle(names()) && container !== undefined)
      throw new ImageConflictError(
        `conflict: unable to remove repository reference ${JSON.stringify(text)} (must force) - container ${short(container.id)} is using its referenced image ${short(id)}`,
      );
    untag(target.name);
    // With its last tag a repository's digests go, whatever names the image has in others.
    const repository = fullName(target.name.reference);
    const rest = names().filter(({ reference }) => fullName(reference) === repository);
    if (
      target.name.reference.digest === undefined &&
      rest.every(({ reference }) => reference.digest !== undefined)
    )
      rest.forEach(untag);
    if (names().length > 0) return removed;
    // By force the name goes although a running container keeps the image, which has none then.
    if (conflictOf(id, options, names(), force) !== undefined) return removed;
  } else {
    if (locked === undefined && !exists(store, id))
      throw new NotFoundError(`No such image: ${text}`);
    const all = names();
    const conflict = conflictOf(id, options, isSingle(all) ? [] : all, force);
    if (conflict !== undefined) throw conflict;
    all.forEach(untag);
  }
  // A name of an image that was gone already.
  if (locked === undefined && !exists(store, id)) return removed;
  const chain = chainOf(store, id);
  if (options.usedBy(id).length > 0) keep(store, staging, id);
  else rename(store.layout.image(id), `${staging.path}/image`);
  syncDirectory(store.layout.images);
  removed.push({ action: "Deleted", what: id, imageId: id });
  const gone = new Set(collectLayers(store, staging));
  for (const { diffId, chainId } of chain.toReversed())
    if (gone.has(diffId)) removed.push({ action: "Deleted", what: chainId });
  return removed;
}

/** The image is none any more, but the containers that were made of it can be started: as in Docker. */
function keep({ layout }: ImageStore, staging: Staging, id: string): void {
  makeDirectories(layout.kept);
  try {
    rename(layout.image(id), layout.keptImage(id));
    syncDirectory(layout.kept);
  } catch (error) {
    // It was removed before, and has come again since.
    if (!isErrno(error, "EEXIST", "ENOTEMPTY")) throw error;
    rename(layout.image(id), `${staging.path}/image`);
  }
}

/** Whether there is anything where an image would be: a file that somebody put there cannot be locked. */
const exists = (store: ImageStore, id: string): boolean =>
  statIfExists(store.layout.image(id)) !== undefined;

/** A name that does not say which image it is of. @returns the name, when there was one and it is gone */
function removeIfDamaged(store: ImageStore, text: string): string | undefined {
  let reference: Reference;
  try {
    reference = withDefaultTag(parseReference(text));
  } catch (error) {
    if (error instanceof InvalidReferenceError) return undefined; // the search for it says why
    throw error;
  }
  return removeDamagedName(store.layout, reference) ? familiarReference(reference) : undefined;
}

type Target =
  | { readonly id: string; readonly byId: false; readonly name: NameRecord }
  | { readonly id: string; readonly byId: true };

/** A name before an id; an image that is damaged is found as well. @throws {DamagedNameError} */
function find(store: ImageStore, text: string): Target {
  const whole = /^(?:sha256:)?[a-f0-9]{64}$/.test(text);
  let reference: Reference | undefined;
  if (!whole) {
    reference = withDefaultTag(parseReference(text));
    const wanted = familiarReference(reference);
    const name = listNames(store.layout).names.find(
      (record) => familiarReference(record.reference) === wanted,
    );
    if (name !== undefined) return { id: name.id, byId: false, name };
    readName(store.layout, reference); // is it damaged?
  }
  const id = store.findId(text);
  if (id !== undefined && store.ids().includes(id)) return { id, byId: true };
  const shown = reference === undefined ? text : familiarReference(reference);
  throw new NotFoundError(`No such image: ${shown}`);
}

/** All names belong to one repository, and at most one of them is a tag (isSingleReference of moby). */
function isSingle(names: readonly NameRecord[]): boolean {
  if (names.length <= 1) return true;
  const repositories = new Set(names.map(({ reference }) => fullName(reference)));
  const tags = names.filter(({ reference }) => reference.digest === undefined);
  return repositories.size === 1 && tags.length <= 1;
}

/** Why an image must stay: a running container always, a stopped one or a name unless by force. */
function conflictOf(
  id: string,
  options: RemoveOptions,
  names: readonly NameRecord[],
  force: boolean,
): ImageConflictError | undefined {
  const conflict = (how: string, why: string) =>
    new ImageConflictError(`conflict: unable to delete ${short(id)} (${how}) - ${why}`);
  const users = options.usedBy(id);
  const running = users.find((user) => user.running);
  if (running !== undefined)
    return conflict(
      "cannot be forced",
      `image is being used by running container ${short(running.id)}`,
    );
  if (force) return undefined;
  if (names.length > 0)
    return conflict("must be forced", "image is referenced in multiple repositories");
  const stopped = users[0];
  return stopped === undefined
    ? undefined
    : conflict("must be forced", `image is being used by stopped container ${short(stopped.id)}`);
}

/** The image's layers with their chain ids, as Docker names them (image-spec config.md, "Layer ChainID"). */
function chainOf(store: ImageStore, id: string): { diffId: string; chainId: string }[] {
  try {
    let chainId = "";
    return (store.get(id)?.config.rootfs.diff_ids ?? []).map((diffId) => {
      chainId = chainId === "" ? diffId : `sha256:${sha256Hex(`${chainId} ${diffId}`)}`;
      return { diffId, chainId };
    });
  } catch (error) {
    if (error instanceof DamagedImageError) return [];
    throw error;
  }
}
