/** `cp`: files into a container, and out of one; it need not run. Ownership stays what it was, seen from the container. */
import { MydockerError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { DescriptorSource } from "../images/chunk_source.ts";
import { readArchive } from "../images/decompress.ts";
import { TarReader } from "../images/tar.ts";
import type { TarEntry, TarSink } from "../images/tar_entry.ts";
import { TarWriter } from "../images/tar_writer.ts";
import { finishSteps, TreeReader } from "../images/tree_reader.ts";
import { type CopyOptions, Unpacker } from "../images/unpack.ts";
import { close, fdPath, writeAll } from "../linux/fd.ts";
import { fileSystemUsage } from "../linux/mount.ts";
import {
  PR_SET_SECUREBITS,
  prctl,
  SECBIT_NO_SETUID_FIXUP,
  setFileSystemIds,
} from "../linux/process.ts";
import { quote } from "../quote.ts";
import { type ContainerFiles, openContainerFiles } from "./container_files.ts";
import {
  absolutePath,
  containerEnd,
  type End,
  findItem,
  type Item,
  isDirectory,
  LOCAL,
  type Placement,
  pathOf,
  placeCopy,
  resolveTarget,
  type Source,
  splitEntry,
  unfitForOutput,
} from "./copy_paths.ts";
import { type FoundContainer, recordOf } from "./lifecycle_process.ts";
import { cleanPath } from "./spec_builder.ts";

/** What is copied, and how. */
export interface CopyRequest {
  /** as typed */
  readonly source: string;
  /** as typed */
  readonly target: string;
  /** `-L`: a source that is a symbolic link stands for what it leads to */
  readonly followLink: boolean;
  /** `-a`: what comes out of a container keeps its owners; otherwise it is the caller's */
  readonly archive: boolean;
  /** is told of what could not be copied as it was */
  readonly warn: (message: string) => void;
}

/** What came of it: bytes of data. */
export interface Copied {
  readonly size: number;
}

/** The stream that `-` stands for. */
const STREAM = "-";

/** Copies out of a container; to `-` as a tar archive on standard output. */
export function copyFromContainer(
  found: FoundContainer,
  reference: string,
  request: CopyRequest,
): Copied {
  const { source: from, target: to } = request;
  if (to !== STREAM) checkOutput(absolutePath(to, process.cwd()), to);
  using files = openContainerFiles(found);
  using items = new DisposableStack();
  const path = absolutePath(from, "/");
  const source = openSource(containerEnd(files.root), path, request.followLink, items);
  if (source === undefined) {
    throw new MydockerError(`Could not find the file ${from} in container ${reference}`);
  }
  const read = { change: (entry: TarEntry) => files.ids.toContainer(entry), warn: request.warn };
  const crosses = () => true; // what is mounted in these files is what was asked for
  if (to === STREAM) {
    const writer = new TarWriter(writeToStdout);
    const reader = new TreeReader(writer, { ...read, crosses });
    finishSteps(readAll(reader, source, source.name === "/" ? "/" : source.name));
    writer.finish();
    return { size: writer.length };
  }
  const target = resolveTarget(LOCAL, absolutePath(to, process.cwd()));
  if (target.item !== undefined) hold(items, target.item);
  const placement = placeCopy(source, target);
  const how: CopyOptions = { reach: { kind: "tree" }, owners: request.archive };
  return copyInto({ end: LOCAL, placement, how, warn: request.warn }, (sink) =>
    finishSteps(readAll(new TreeReader(sink, { ...read, crosses }), source, placement.name)),
  );
}

/** Copies into a container; from `-` a tar archive on standard input. */
export async function copyToContainer(
  found: FoundContainer,
  reference: string,
  request: CopyRequest,
): Promise<Copied> {
  const { source: from, target: to, warn } = request;
  using items = new DisposableStack();
  const here = absolutePath(from, process.cwd());
  const source = from === STREAM ? undefined : openSource(LOCAL, here, request.followLink, items);
  if (source === undefined && from !== STREAM) {
    throw new MydockerError(`lstat ${from}: no such file or directory`);
  }
  using files = openContainerFiles(found);
  actAsRootOf(files);
  const end = containerEnd(files.root);
  const target = resolveTarget(end, absolutePath(to, "/"));
  const named = `destination ${quote(`${reference}:${to}`)}`;
  if (target.item !== undefined) {
    hold(items, target.item);
    const unfit = unfitForOutput(target.item);
    if (unfit !== undefined)
      throw new MydockerError(`${named} must be a directory or a regular file: ${unfit}`);
  }
  if (source === undefined) {
    if (target.item === undefined || !isDirectory(target.item))
      throw new MydockerError(`${named} must be a directory`);
    return await extractInto(files, { found, end, placement: { directory: target.path }, warn });
  }
  const placement = placeCopy(source, target);
  const how: CopyOptions = { reach: { kind: "tree" }, owners: true };
  const options = {
    change: (entry: TarEntry) => files.ids.toHost(entry),
    crosses: () => true,
    warn,
  };
  return copyInto({ end, placement, how, warn, found }, (sink) =>
    finishSteps(readAll(new TreeReader(sink, options), source, placement.name)),
  );
}

/**
 * A file system of another user namespace takes no files from somebody whom that does not know. Our
 * rights stay ours (capabilities(7), "Effect of user ID changes on capabilities").
 */
function actAsRootOf({ ids }: ContainerFiles): void {
  if (ids.isNone) return;
  const { uid, gid } = ids.toHost({ uid: 0, gid: 0 });
  prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
  setFileSystemIds(uid, gid);
}

function openSource(
  end: End,
  path: string,
  follow: boolean,
  items: DisposableStack,
): Source | undefined {
  const item = findItem(end, path, follow);
  if (item === undefined) return undefined;
  return { item: hold(items, item), name: splitEntry(path).name };
}

function hold(items: DisposableStack, item: Item): Item {
  items.defer(() => close(item.fd));
  return item;
}

/** @param name what it is to be called; absent for what is in a directory */
function readAll(reader: TreeReader, { item }: Source, name: string | undefined) {
  return name === undefined ? reader.readDirectory(item.fd) : reader.readItem(item.fd, name);
}

interface Destination {
  readonly end: End;
  readonly placement: Placement;
  readonly warn: (message: string) => void;
  /** absent for this machine */
  readonly found?: FoundContainer;
}

/** Opens the directory that is copied into. */
function openDestination({ end, placement, found }: Destination): number {
  const item = findItem(end, placement.directory, true);
  if (item === undefined)
    throw new MydockerError(`the directory ${quote(placement.directory)} does not exist`);
  try {
    if (!isDirectory(item))
      throw new MydockerError(`extraction point is not a directory: ${quote(placement.directory)}`);
    if (found !== undefined && fileSystemUsage(fdPath(item.fd)).readOnly) {
      const what = isInMount(found, pathOf(item.fd)) ? "mounted volume" : "container rootfs";
      throw new MydockerError(`${what} is marked read-only`);
    }
    return item.fd;
  } catch (error) {
    close(item.fd);
    throw error;
  }
}

function isInMount(found: FoundContainer, path: string): boolean {
  return recordOf(found).options.mounts.some(({ target }) =>
    `${path}/`.startsWith(`${cleanPath(target)}/`),
  );
}

function copyInto(
  to: Destination & { readonly how: CopyOptions },
  copy: (sink: TarSink) => void,
): Copied {
  const directory = openDestination(to);
  try {
    using unpacker = new Unpacker(directory, { copy: to.how });
    copy(unpacker);
    const { size, warnings } = unpacker.finish();
    for (const warning of warnings) to.warn(warning);
    return { size };
  } finally {
    close(directory);
  }
}

/** The archive on standard input goes into a directory of a container, whose links mean what they mean there. */
async function extractInto(files: ContainerFiles, to: Destination): Promise<Copied> {
  const base = openDestination(to);
  try {
    const reach = { kind: "root", base: pathOf(base) } as const;
    using unpacker = new Unpacker(files.root, { copy: { reach, base, owners: true } });
    const reader = new TarReader({
      entry: (entry) => unpacker.entry(files.ids.toHost(entry)),
      data: (bytes, offset) => unpacker.data(bytes, offset),
      endFile: () => unpacker.endFile(),
    });
    await readArchive(new DescriptorSource(0), (chunk) => reader.push(chunk), {});
    reader.end();
    const { size, warnings } = unpacker.finish();
    for (const warning of warnings) to.warn(warning);
    return { size };
  } finally {
    close(base);
  }
}

/** Docker's check before anything is read (docker: cli/command, ValidateOutputPath). */
function checkOutput(path: string, typed: string): void {
  const { parent } = splitEntry(path.replace(/\/\.$/, ""));
  const directory = findItem(LOCAL, parent, true);
  if (directory === undefined)
    throw new MydockerError(`invalid output path: directory ${quote(parent)} does not exist`);
  close(directory.fd);
  const item = findItem(LOCAL, path, true);
  if (item === undefined) return;
  close(item.fd);
  const unfit = unfitForOutput(item);
  if (unfit === undefined) return;
  const what = `invalid output path: ${quote(typed)} must be a directory or a regular file`;
  throw new MydockerError(`${what}: ${unfit}`);
}

function writeToStdout(bytes: Uint8Array): void {
  try {
    writeAll(1, bytes);
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    throw new MydockerError(`cannot write to stdout: ${errnoText(cause.errno)}`, { cause });
  }
}
