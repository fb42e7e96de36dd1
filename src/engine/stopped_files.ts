/** The files of a container that does not run: mounted as they would be, without what is in memory only. */
import { close, fdPath, O, open } from "../linux/fd.ts";
import { ifExists, S_IFDIR, S_IFMT, statFd } from "../linux/file.ts";
import { cloneTree, MOUNT_ATTR, MS, mount, mountSetAttributes, moveMount } from "../linux/mount.ts";
import type { Paths } from "../paths.ts";
import { openMappedNamespace } from "../rootfs/id_map.ts";
import { parseOptions } from "../rootfs/options.ts";
import {
  makeDirectoryInRoot,
  makeFileInRoot,
  openInRoot,
  openInRootIfExists,
} from "../rootfs/safe_path.ts";
import { inMountNamespace } from "../runtime/mapped_root.ts";
import { waitFor } from "../runtime/watch.ts";
import { planOverlay } from "../storage/overlay.ts";
import type { VolumeFileSystem } from "../volumes/place.ts";
import { bindOwners } from "./bind_owners.ts";
import type { ContainerRecord } from "./container_record.ts";
import { imageConfigOf } from "./lifecycle_open.ts";
import type { FoundContainer } from "./lifecycle_process.ts";
import type { OwnerMap } from "./owner_map.ts";
import type { MountRequest } from "./run_options.ts";
import { cleanPath } from "./spec_builder.ts";
import { attachPoint } from "./state_directories.ts";
import { volumePlaces } from "./volumes.ts";

/** A directory or file of the host in a container. */
interface StoppedBind {
  readonly kind: "bind";
  readonly source: string;
  readonly subpath?: string;
  readonly path: string;
  readonly recursive: boolean;
  readonly readonly: boolean;
  /** descriptor of a user namespace whose ids it shows */
  readonly ids?: number;
}

/** A file system of its own. */
interface StoppedFileSystem extends VolumeFileSystem {
  readonly path: string;
  readonly readonly: boolean;
}

type StoppedMount = StoppedBind | StoppedFileSystem;

/**
 * The caller owns the container, so that nobody starts it meanwhile.
 * @returns a descriptor of its root, in a copy of mounts that is attached nowhere
 */
export function openStopped(found: FoundContainer, record: ContainerRecord): number {
  const { paths, store, id } = found;
  using namespaces = new DisposableStack();
  const mounts = stoppedMounts(paths, record, namespaces);
  const data = planOverlay(record.layers, store.directory(id));
  const at = attachPoint(paths);
  const isReadonly = record.options.readonlyRoot;
  return waitFor(
    inMountNamespace(() => {
      mount(null, "/", null, MS.MS_REC | MS.MS_PRIVATE);
      const options = data.map((piece) =>
        typeof piece === "string" ? piece : fdPath(open(piece.directory, O.O_PATH | O.O_DIRECTORY)),
      );
      mount("overlay", at, "overlay", 0, options.join(""));
      const root = open(at, O.O_PATH | O.O_DIRECTORY);
      for (const each of mounts) {
        if (each.kind === "bind") attachBind(root, each);
        else mountFileSystem(root, each);
      }
      if (isReadonly) mountSetAttributes(root, { set: MOUNT_ATTR.MOUNT_ATTR_RDONLY });
      return cloneTree(root, "", true);
    }),
  );
}

const depth = ({ path }: StoppedMount): number => path.split("/").length;

/** @param namespaces of ids, closed when it is disposed of */
function stoppedMounts(
  paths: Paths,
  record: ContainerRecord,
  namespaces: DisposableStack,
): StoppedMount[] {
  const volumes = volumePlaces(paths, record);
  const owners = ownersOf(paths, record);
  const toMount = (request: MountRequest): StoppedMount[] => {
    if (request.type === "tmpfs") return [];
    const { target, readonly } = request;
    const path = cleanPath(target);
    if (request.type === "bind") {
      const { source, recursive } = request;
      const map = owners.get(target);
      const ids = map === undefined ? {} : { ids: openIds(map, namespaces) };
      return [{ kind: "bind", source, path, recursive, readonly, ...ids }];
    }
    const place = volumes.get(target);
    if (place === undefined) return [];
    if (place.kind === "mount") {
      return place.type === "tmpfs" ? [] : [{ ...place, path, readonly }];
    }
    const { subpath } = request;
    const below = subpath === undefined ? {} : { subpath };
    const { path: source, recursive } = place;
    const isReadonly = readonly || place.readonly;
    return [{ kind: "bind", source, path, recursive, readonly: isReadonly, ...below }];
  };
  return record.options.mounts.flatMap(toMount).toSorted((a, b) => depth(a) - depth(b));
}

/** Of binds with `idmap`; here the ids of a user namespace are those that it shows. */
function ownersOf(paths: Paths, record: ContainerRecord): ReadonlyMap<string, OwnerMap> {
  const isAsked = record.options.mounts.some((each) => each.type === "bind" && each.idmap === true);
  if (!isAsked) return new Map();
  const { image: name, layers, command: args } = record;
  const root = { name, layers, args, config: imageConfigOf(paths, record) };
  return bindOwners({ paths, record, root }, undefined);
}

function openIds(map: OwnerMap, namespaces: DisposableStack): number {
  const ids = openMappedNamespace({ uid: map.uidMappings, gid: map.gidMappings });
  namespaces.defer(() => close(ids));
  return ids;
}

function attachBind(root: number, { source, subpath, recursive, ...how }: StoppedBind): void {
  const whole = ifExists(() => open(source, O.O_PATH));
  if (whole === undefined) return; // made when it is started
  const from = subpath === undefined ? whole : openInRoot(whole, subpath);
  const tree = cloneTree(from, "", recursive);
  if (how.ids !== undefined) {
    mountSetAttributes(tree, { set: MOUNT_ATTR.MOUNT_ATTR_IDMAP, userNamespace: how.ids });
  }
  if (how.readonly) mountSetAttributes(tree, { set: MOUNT_ATTR.MOUNT_ATTR_RDONLY, recursive });
  attach(root, tree, how.path);
}

function mountFileSystem(root: number, { type, source, options, ...how }: StoppedFileSystem): void {
  const { flags, data } = parseOptions([...options, ...(how.readonly ? ["ro"] : [])]);
  const target = makeDirectoryInRoot(root, how.path);
  mount(source, fdPath(target), type, flags, data.join(","));
  close(target);
}

/** Puts a tree of mounts onto a path in the root, which is made when it is missing, if that can be. */
export function attach(root: number, tree: number, path: string): void {
  const isDirectory = (statFd(tree).mode & S_IFMT) === S_IFDIR;
  let target = openInRootIfExists(root, path);
  if (target === undefined) {
    try {
      target = isDirectory ? makeDirectoryInRoot(root, path) : makeFileInRoot(root, path);
    } catch {
      return; // a root that is read-only, a file in the way: then there is nothing to see there
    }
  }
  if (((statFd(target).mode & S_IFMT) === S_IFDIR) === isDirectory) moveMount(tree, target, path);
  close(target);
}
