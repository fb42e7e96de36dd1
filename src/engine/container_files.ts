/**
 * A container's files as other commands see them: its root file system, and what was asked to be
 * mounted in it. Each view is a copy of mounts that is attached nowhere, so nothing of it is left
 * when we are killed; and it has neither /proc, /sys and /dev, nor what a container mounts itself.
 * Nothing of the container is executed or loaded (CVE-2019-14271).
 */
import { MydockerError } from "../errors.ts";
import { AT_FDCWD, close, O, open, POLLIN, poll } from "../linux/fd.ts";
import { ifExists, readFile, stat, statFd } from "../linux/file.ts";
import { cloneTree, MS, mount, moveMount } from "../linux/mount.ts";
import { CLONE } from "../linux/process.ts";
import { enterNamespaces } from "../namespaces/join.ts";
import { openInRootIfExists } from "../rootfs/safe_path.ts";
import { inMountNamespace, mountPlainRoot } from "../runtime/mapped_root.ts";
import type { Spec } from "../runtime/spec.ts";
import { waitFor } from "../runtime/watch.ts";
import { planLower } from "../storage/overlay.ts";
import { containerCgroup } from "./container_cgroup.ts";
import type { ContainerRecord } from "./container_record.ts";
import { IdTranslation } from "./id_translation.ts";
import { type FoundContainer, RunningProcess, recordOf } from "./lifecycle_process.ts";
import { claimSilently } from "./ownership.ts";
import { cleanPath } from "./spec_builder.ts";
import { attachPoint } from "./state_directories.ts";
import { attach, openStopped } from "./stopped_files.ts";

/** A container's files. */
export interface ContainerFiles extends Disposable {
  /** O_PATH, of its root */
  readonly root: number;
  /** between the ids that the files have here and those that the container knows */
  readonly ids: IdTranslation;
}

/** How often it is looked whether somebody else still starts or ends the container, in milliseconds. */
const INTERVAL = 5;

/**
 * A container's files with its volumes, binds and tmpfs. One that does not run cannot be started
 * until they are disposed of; while it is being started or ended, that is waited for.
 */
export function openContainerFiles(found: FoundContainer): ContainerFiles {
  const record = recordOf(found);
  for (; ; Bun.sleepSync(INTERVAL)) {
    using process = RunningProcess.of(found);
    if (process !== undefined) return openLive(found, record, process, true);
    const lock = claimSilently(found.paths, found.id, containerCgroup(found.id));
    if (lock === undefined) continue;
    using undo = new DisposableStack();
    undo.defer(() => lock.abandon());
    recordOf(found); // it may have been removed meanwhile
    const root = openStopped(found, record);
    undo.defer(() => close(root));
    const held = undo.move();
    return { root, ids: IdTranslation.NONE, [Symbol.dispose]: () => held.dispose() };
  }
}

/** A container's root file system alone, to be read: what `export` writes. */
export function openContainerRoot(found: FoundContainer): ContainerFiles {
  const record = recordOf(found);
  using process = RunningProcess.of(found);
  if (process !== undefined) return openLive(found, record, process, false);
  const layers = [...record.layers, `${found.store.directory(found.id)}/upper`];
  const root = waitFor(mountPlainRoot(overlay(layers), attachPoint(found.paths)));
  return { root, ids: IdTranslation.NONE, [Symbol.dispose]: () => close(root) };
}

const overlay = (layers: readonly string[]) =>
  ({
    kind: "mount",
    type: "overlay",
    source: "overlay",
    flags: 0,
    data: planLower(layers),
  }) as const;

/** Of one that runs: from its mount namespace, whatever its processes call their root. */
function openLive(
  { store, id, paths }: FoundContainer,
  record: ContainerRecord,
  process: RunningProcess,
  withMounts: boolean,
): ContainerFiles {
  const namespace = openNamespace(process);
  try {
    const asked = withMounts ? record.options.mounts : [];
    const targets = [
      ...asked.map((request) => ({
        path: cleanPath(request.target),
        recursive: request.type === "bind" && request.recursive,
      })),
      ...(withMounts ? ETC_FILES.map((path) => ({ path, recursive: false })) : []),
    ].toSorted((a, b) => depth(a.path) - depth(b.path));
    const root = waitFor(inMountNamespace(() => copyLive(namespace, targets, attachPoint(paths))));
    const spec: Spec = JSON.parse(readFile(store.configPath(id)));
    const ids = new IdTranslation(spec.linux.uidMappings, spec.linux.gidMappings);
    return { root, ids, [Symbol.dispose]: () => close(root) };
  } finally {
    close(namespace);
  }
}

const ETC_FILES: readonly string[] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
const depth = (path: string): number => path.split("/").length;

function openNamespace({ pid, pidfd }: RunningProcess): number {
  const gone = () => new MydockerError("the container has just ended");
  const fd = ifExists(() => open(`/proc/${pid}/ns/mnt`, O.O_RDONLY));
  if (fd === undefined) throw gone();
  // The number may be another process's by now.
  if (poll([{ fd: pidfd, events: POLLIN, revents: 0 }], 0) > 0) {
    close(fd);
    throw gone();
  }
  // One that has the host's may be anywhere.
  if (statFd(fd).ino === stat("/proc/self/ns/mnt").ino) {
    close(fd);
    throw new MydockerError("the container's first process has joined the host's mount namespace");
  }
  return fd;
}

interface LiveMount {
  readonly path: string;
  readonly recursive: boolean;
}

/** In a child: copies the container's mounts, and puts them together anew. */
function copyLive(namespace: number, targets: readonly LiveMount[], at: string): number {
  mount(null, "/", null, MS.MS_REC | MS.MS_PRIVATE);
  const own = open("/proc/self/ns/mnt", O.O_RDONLY);
  const place = open(at, O.O_PATH | O.O_DIRECTORY);
  enterNamespaces(namespace, CLONE.CLONE_NEWNS);
  const root = cloneTree(AT_FDCWD, "/", false);
  const live = open("/", O.O_PATH | O.O_DIRECTORY);
  const trees = targets.flatMap(({ path, recursive }) => {
    const found = openInRootIfExists(live, path);
    // The container may have taken it away.
    if (found === undefined || !statFd(found).isMountRoot) return [];
    return [{ path, tree: cloneTree(found, "", recursive) }];
  });
  enterNamespaces(own, CLONE.CLONE_NEWNS);
  moveMount(root, place, at);
  for (const { path, tree } of trees) attach(root, tree, path);
  return cloneTree(root, "", true);
}
