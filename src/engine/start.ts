/** Starting a container: cgroup, configuration, file system, first process. */

import { countsSwap, readLayout } from "../cgroups/layout.ts";
import { type Cgroup, planCgroup } from "../cgroups/manager.ts";
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { turnEventLoop } from "../ffi/event_loop.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_STATX_DONT_SYNC,
  close,
  F_SETFL,
  fcntl,
  O,
  open,
  pipe,
  read,
  writeAll,
} from "../linux/fd.ts";
import { chownAt, makeDirectories, statIfExists } from "../linux/file.ts";
import { SIGNALS } from "../linux/process.ts";
import { identify } from "../linux/process_identity.ts";
import { getWindowSize } from "../linux/tty.ts";
import { isNew } from "../namespaces/namespaces.ts";
import type { PortDoor } from "../network/door.ts";
import type { Resolver } from "../network/resolver.ts";
import { bindBelow, holdBack, type MountOp, planRootfs } from "../rootfs/plan.ts";
import type { InitPlan, RootSource } from "../runtime/init_plan.ts";
import { launching, type Started } from "../runtime/launch.ts";
import { LaunchError } from "../runtime/launch_error.ts";
import type { Spec } from "../runtime/spec.ts";
import type { CompiledFilter } from "../seccomp/filter.ts";
import { explainOverlay, planOverlay } from "../storage/overlay.ts";
import { cgroupMounts } from "./container_cgroup.ts";
import type { CreatedContainer } from "./create.ts";
import { containerDevices } from "./device_options.ts";
import { etcMounts, removeEtcFiles, writeEtcFiles } from "./etc_files.ts";
import type { Pipes } from "./foreground.ts";
import {
  hostName,
  hostNodes,
  idFiles,
  ownCapabilities,
  possibleProcessors,
  usualOomScoreAdj,
} from "./host_facts.ts";
import type { IdRange } from "./id_range.ts";
import type { NetworkPlan } from "./network_mode.ts";
import { planNetwork } from "./network_plan.ts";
import type { Ownership } from "./ownership.ts";
import { toBlockIo, toResources } from "./resource_options.ts";
import type { RunOptions } from "./run_options.ts";
import type { SignalQueue } from "./signals.ts";
import { buildSpec } from "./spec_builder.ts";
import { attachPoint } from "./state_directories.ts";
import { warmUp } from "./warm_up.ts";

type MountedRoot = RootSource & { readonly kind: "mount" };

/** What is started, and in what. */
interface Configured {
  readonly spec: Spec;
  readonly seccomp: CompiledFilter | undefined;
  readonly rootFs: RootSource;
  /** its cgroup, if it is there already */
  readonly birthplace: string | undefined;
  readonly network: NetworkPlan;
}

/** A container whose command is running. */
export interface RunningContainer extends Started {
  readonly cgroup: Cgroup;
  /** absent with a terminal */
  readonly pipes?: Pipes;
  /** on networks where containers have names */
  readonly resolver?: Resolver;
  /** on networks of ours */
  readonly door?: PortDoor;
}

/** Says which signal is to end a start. */
export type Interrupts = Pick<SignalQueue, "endsStart">;

/**
 * Starts a container that was created. What `undo` gives back: its cgroup with everything in it
 * killed, its generated files.
 * @param seccomp the filter of system calls (chooseSeccomp)
 * @throws {MydockerError} with the exit code for the reason: 125, 126 or 127
 */
export async function startContainer(
  container: CreatedContainer,
  undo: DisposableStack,
  signals: Interrupts,
  seccomp?: CompiledFilter,
): Promise<RunningContainer> {
  const { paths, record, root } = container;
  const { id, options } = record;
  const layout = readLayout();
  const { cgroup: cgroupsPath } = container.ownership.record;
  const devices = containerDevices(options, hostNodes);
  const resources = {
    ...toResources(options.resources, () => countsSwap(layout)),
    ...toBlockIo(options.resources),
    devices: devices.rules,
  };
  const cgroup = planCgroup(layout, cgroupsPath, resources);
  const volumes = options.mounts.some(({ type }) => type === "volume")
    ? (await import("./volumes.ts")).volumePlaces(paths, record)
    : undefined;
  const ids = options.userns === "private" ? await chooseIds(id) : undefined;
  const ownName = options.uts === "host" ? hostName() : (options.hostname ?? id.slice(0, 12));
  const network = await planNetwork(container, ownName, undo);
  const hostname = network.hostname ?? ownName;
  const owners = options.mounts.some((mount) => mount.type === "bind" && mount.idmap === true)
    ? (await import("./bind_owners.ts")).bindOwners(container, ids)
    : undefined;
  const capabilities = ownCapabilities();
  const spec = buildSpec({
    id,
    options: {
      ...options,
      entrypoint: "",
      args: record.command,
      ...(network.hostname === undefined ? {} : { hostname }),
    },
    image: root.config,
    cgroupsPath,
    resources,
    devices: devices.nodes,
    etcFiles: etcMounts(paths, network.etcOf ?? id),
    ...(network.namespace === undefined ? {} : { networkNamespace: network.namespace }),
    ...(ids === undefined ? {} : { ids }),
    ...(volumes === undefined ? {} : { volumes }),
    ...(owners === undefined ? {} : { owners }),
    host: {
      hostname,
      capabilities,
      oomScoreAdj: usualOomScoreAdj(capabilities),
      cgroupMounts: cgroupMounts(layout, cgroup),
      cgroupVersion: layout.mode === "v2" ? 2 : 1,
      processors: possibleProcessors(),
    },
  });
  undo.defer(() => cgroup.remove());
  undo.defer(() => removeEtcFiles(paths, id));
  makeBindSources(options);
  using streams = new DisposableStack();
  const { theirs, ours } = openStreams(options, streams);
  if (ours !== undefined) streams.defer(() => showRest(ours.stderr));
  if (ids !== undefined) {
    // Only what belongs to an id of its own can its root give away, or open again as /dev/stdout.
    // The null device, which is standard input without -i, is the host's.
    const pipes = (theirs ?? []).slice(options.interactive ? 0 : 1);
    for (const fd of pipes) chownAt(fd, "", ids.uid.hostID, ids.gid.hostID, AT_EMPTY_PATH);
  }
  const birthplace = cgroup.createFirst();
  const makeRest = () => {
    if (birthplace === undefined) cgroup.create();
    cgroup.apply(spec.linux.resources);
    const contents = { hostname, onHost: options.network === "host", ...network.etc };
    if (network.etcOf === undefined) writeEtcFiles(paths, id, contents, ids);
  };
  const overlay = planRoot(container);
  const rootFs =
    ids === undefined ? overlay : await mapRoot(container, overlay, ids, signals, streams);
  const launch = launchOn(
    container,
    { spec, seccomp, rootFs, birthplace, network },
    cgroup,
    theirs,
    makeRest,
  );
  const started = await untilInterrupted(launch, signals);
  streams.move(); // ours stay open: they belong to whoever supervises the container
  if (rootFs.kind === "tree") close(rootFs.tree);
  if (theirs !== undefined) for (const fd of theirs) close(fd);
  const { resolver, door } = network.connection ?? {};
  return {
    ...started,
    cgroup,
    ...(ours === undefined ? {} : { pipes: ours }),
    ...(resolver === undefined ? {} : { resolver }),
    ...(door === undefined ? {} : { door }),
  };
}

/** Init may hang, in a file system that does not answer for instance: signals end the start. */
async function untilInterrupted<T>(
  launch: Generator<void, T, void>,
  signals: Interrupts,
): Promise<T> {
  for (let step = launch.next(); ; ) {
    if (step.done === true) return step.value;
    await turnEventLoop();
    const signal = signals.endsStart();
    step = signal === undefined ? launch.next() : launch.throw(interrupted(signal));
  }
}

function interrupted(signal: number): MydockerError {
  const name = Object.entries(SIGNALS).find(([, number]) => number === signal)?.[0];
  return new MydockerError(`${name} came before the container's command was started`, {
    exitCode: 128 + signal,
  });
}

function* launchOn(
  container: CreatedContainer,
  { spec, seccomp, rootFs, birthplace, network }: Configured,
  cgroup: Cgroup,
  stdio: [number, number, number] | undefined,
  makeRest: () => void,
): Generator<void, Started, void> {
  const { ownership, paths, record, root, store } = container;
  const { options } = record;
  const made = new Set(
    [
      ...etcMounts(paths, network.etcOf ?? record.id),
      ...cgroup.members.map(({ directory }) => ({ source: directory })),
    ].map(({ source }) => source),
  );
  const directory = store.directory(record.id);
  const windowSize = options.tty ? (getWindowSize(0) ?? getWindowSize(1)) : undefined;
  // Ids of a user namespace may not look into our directories, nor write to cgroup files.
  const mapped = isNew(spec.linux.namespaces, "user");
  try {
    if (mapped) makeRest();
    const plan: InitPlan = {
      spec,
      ...holdBack(planMounts(spec, options), mapped ? new Set() : made),
      root: rootFs,
      attachAt: attachPoint(paths),
      joinFiles: mapped ? [] : cgroup.joinFiles,
      ...(birthplace === undefined ? {} : { birthplace }),
      ...(stdio === undefined ? {} : { stdio }),
      stdinIsPipe: options.interactive,
      ...(windowSize === undefined ? {} : { windowSize }),
      account: {
        user: options.user ?? root.config.User ?? "",
        additionalGroups: options.groupAdd,
      },
      dieWithParent: true,
      reaper: options.init,
      keyring: record.id,
      ...(seccomp === undefined ? {} : { seccomp }),
    };
    return yield* launching(plan, {
      meanwhile: (pid) => {
        noteInit(ownership, pid);
        if (container.ranBefore) store.removeExit(record.id); // from now on it is not true
        if (!mapped) makeRest();
      },
      forked: (pid) => {
        if (mapped) cgroup.add(pid);
        network.connection?.attach(pid);
      },
      afterwards: () => {
        store.writeConfig(record.id, spec);
        container.sync?.();
        warmUp();
      },
    });
  } catch (error) {
    throw explainFailure(error, directory, root.layers);
  }
}

function planMounts(spec: Spec, { mounts }: RunOptions): readonly MountOp[] {
  const ops = planRootfs(spec);
  const parts = mounts.flatMap((mount) => {
    if (mount.type !== "volume" || mount.subpath === undefined) return [];
    const { name, subpath, target } = mount;
    return [[target, { path: subpath, called: `${subpath} of volume ${name}` }] as const];
  });
  return parts.length === 0 ? ops : bindBelow(ops, new Map(parts));
}

function explainFailure(error: unknown, directory: string, layers: readonly string[]): unknown {
  if (!(error instanceof LaunchError)) return error;
  const { message, exitCode } = error;
  const explained = /^mount overlay /.test(message) ? explainOverlay(directory, layers) : undefined;
  return explained ?? new MydockerError(message, { exitCode, cause: error });
}

async function chooseIds(id: string): Promise<IdRange> {
  const { rangeOf } = await import("./id_range.ts");
  return rangeOf(id, idFiles());
}

/** The container's own layer on those of its image. */
function planRoot({ record, root, store }: CreatedContainer): MountedRoot {
  return {
    kind: "mount",
    type: "overlay",
    source: "overlay",
    flags: 0,
    data: planOverlay(root.layers, store.directory(record.id)),
  };
}

/** The same with the ids of a user namespace. It is held until `streams` are disposed of. */
async function mapRoot(
  { paths, record, root: { layers }, store }: CreatedContainer,
  root: MountedRoot,
  { uid, gid }: IdRange,
  signals: Interrupts,
  streams: DisposableStack,
): Promise<RootSource> {
  const { mountMappedRoot } = await import("../runtime/mapped_root.ts");
  const map = { uid: [uid], gid: [gid], recursive: false };
  try {
    const mounting = mountMappedRoot({ root, map, at: attachPoint(paths) });
    const tree = await untilInterrupted(mounting, signals);
    streams.defer(() => close(tree));
    return { kind: "tree", tree };
  } catch (error) {
    throw explainFailure(error, store.directory(record.id), layers);
  }
}

/** For whoever cleans up after us: on v1 init is in no cgroup yet, and does not end with us before it is told to. */
function noteInit(ownership: Ownership, pid: number): void {
  const init = identify(pid);
  if (init !== undefined) ownership.update({ ...ownership.record, init });
}

/** What init wrote to standard error before it failed: its calls, with --debug. */
function showRest(stderr: number): void {
  fcntl(stderr, F_SETFL, O.O_NONBLOCK);
  const buffer = new Uint8Array(65536);
  try {
    for (let count = read(stderr, buffer); count > 0; count = read(stderr, buffer)) {
      writeAll(2, buffer.subarray(0, count));
    }
  } catch (error) {
    if (!isErrno(error, "EAGAIN")) throw error;
  }
}

/** `-v` makes what is missing; `--mount` refuses it. */
function makeBindSources(options: RunOptions): void {
  for (const mount of options.mounts) {
    if (mount.type !== "bind" || exists(mount.source)) continue;
    if (!mount.createSource) {
      throw new MydockerError(
        `invalid mount config for type "bind": bind source path does not exist: ${mount.source}`,
        { exitCode: 125, hint: "make it first, or use -v, which does" },
      );
    }
    makeDirectories(mount.source, 0o755);
  }
}

/** Without asking a server, which may be dead: here nobody could interrupt us. */
const exists = (path: string): boolean =>
  statIfExists(path, AT_FDCWD, AT_STATX_DONT_SYNC) !== undefined;

interface Streams {
  readonly theirs?: [number, number, number];
  readonly ours?: Pipes;
}

/** Pipes for standard output and error, and for input with `-i`; nothing with a terminal. */
function openStreams(options: RunOptions, undo: DisposableStack): Streams {
  if (options.tty) return {};
  const held = (fd: number): number => {
    undo.defer(() => close(fd));
    return fd;
  };
  const both = (): [number, number] => {
    const [reader, writer] = pipe();
    return [held(reader), held(writer)];
  };
  const [stdout, theirStdout] = both();
  const [stderr, theirStderr] = both();
  if (!options.interactive) {
    const nothing = held(open("/dev/null", O.O_RDWR));
    return { theirs: [nothing, theirStdout, theirStderr], ours: { stdout, stderr } };
  }
  const [theirStdin, stdin] = both();
  return { theirs: [theirStdin, theirStdout, theirStderr], ours: { stdin, stdout, stderr } };
}
