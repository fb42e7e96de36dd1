/** `create` and `run` of the OCI runtime: from a bundle to a container whose first process waits, or runs. */
import { type CgroupLayout, readLayout } from "../cgroups/layout.ts";
import { locateCgroup, systemdPath, systemdUnit } from "../cgroups/location.ts";
import { type Cgroup, planCgroup, planNone } from "../cgroups/manager.ts";
import { cgroupRecord } from "../cgroups/record.ts";
import { MydockerError } from "../errors.ts";
import { close } from "../linux/fd.ts";
import { readFile, realPath, statIfExists } from "../linux/file.ts";
import { identify } from "../linux/process_identity.ts";
import { replaceFile } from "../linux/replace_file.ts";
import { windowSizeOf } from "../linux/tty.ts";
import { isNew, type NamespaceEntry } from "../namespaces/namespaces.ts";
import type { CgroupFacts } from "../rootfs/cgroup_mounts.ts";
import { holdBack, planRootfs } from "../rootfs/plan.ts";
import { withGrantable } from "./grantable.ts";
import { runHooks, stateWithPid } from "./hooks.ts";
import type { InitPlan } from "./init_plan.ts";
import { launch, type Started } from "./launch.ts";
import { withDefaults } from "./oci_defaults.ts";
import { filterOf } from "./oci_seccomp.ts";
import { sendProcessState } from "./process_state.ts";
import { sendDescriptor } from "./send_descriptor.ts";
import type { IntelRdt, Spec } from "./spec.ts";
import { hookState } from "./state.ts";
import { type ContainerRecord, RuntimeStore } from "./store.ts";
import { unsupported } from "./unsupported.ts";
import { parseConfig } from "./validate.ts";

/** What `create` and `run` are told on their command line. */
export interface CreateOptions {
  readonly root: string;
  readonly id: string;
  /** absolute */
  readonly bundle: string;
  /** UNIX socket that gets the terminal's master */
  readonly consoleSocket?: string;
  /** UNIX socket that gets a pidfd of the first process */
  readonly pidfdSocket?: string;
  readonly pidFile?: string;
  readonly noPivot: boolean;
  /** The container gets a session keyring of its own. */
  readonly newKeyring: boolean;
  /** `cgroupsPath` is systemd's: SLICE:PREFIX:NAME */
  readonly systemdCgroup: boolean;
  /** It stays in the cgroups of its creator, and has no limits. */
  readonly noCgroup: boolean;
  readonly preserveFds: number;
  /** How many of those are sockets that systemd listens at for it (sd_listen_fds(3)). */
  readonly listenFds: number;
  /** The command is executed at once, not when `start` says so. */
  readonly startNow: boolean;
  /** We leave when it runs, so nobody would copy a terminal's output. */
  readonly detached: boolean;
  /** Is told of what is wrong and yet no error. */
  readonly warn: (message: string) => void;
}

/**
 * Hooks that run in the creator's namespaces, and the status that they are told. Prestart hooks are
 * from a specification that had them run by `start`; they are told what they would have been then.
 */
const CREATOR_HOOKS = [
  ["prestart", "created"],
  ["createRuntime", "creating"],
] as const;

/** A container that was created, and runs with `startNow`. */
export interface CreatedContainer {
  readonly store: RuntimeStore;
  readonly record: ContainerRecord;
  readonly spec: Spec;
  readonly cgroup: Cgroup;
  readonly started: Started;
}

/**
 * Creates a container. When that fails nothing of it is left.
 * @throws {MydockerError} {ConfigError} for its configuration, {LaunchError} for its first process
 */
export async function createContainer(options: CreateOptions): Promise<CreatedContainer> {
  const config = parseConfig(readConfigFile(options.bundle), options.warn);
  const asked = withListeners(withDefaults(config), options.listenFds);
  const process = withGrantable(asked.process, asked.linux.namespaces, options.warn);
  const granted = process === asked.process ? asked : { ...asked, process };
  const spec = options.noCgroup ? withoutCgroup(granted, config, options) : granted;
  const lacking = unsupported(spec);
  if (lacking !== undefined) throw lacking;
  checkTerminal(spec, options);
  const rootfs = rootDirectory(options.bundle, spec);
  const layout = readLayout();
  const cgroup = options.noCgroup
    ? planNone(layout, spec.linux.resources)
    : usualCgroup(layout, spec, options);
  const store = new RuntimeStore(options.root);
  const { intelRdt } = spec.linux;
  const resctrl = intelRdt === undefined ? undefined : await planClass(intelRdt, options.id);
  const scope = await planScope(spec, options);
  let record: ContainerRecord = {
    ociVersion: spec.ociVersion,
    id: options.id,
    bundle: options.bundle,
    rootfs,
    created: timestamp(),
    owner: userName(),
    annotations: spec.annotations,
    cgroup: cgroupRecord(cgroup),
    ...(scope === undefined ? {} : { unit: scope.name }),
    ...(resctrl === undefined ? {} : { resctrl: resctrl.record }),
    keyring: options.newKeyring,
  };
  const hasDevices = Object.keys(spec.linux.netDevices).length > 0;
  const NetDevices = hasDevices ? (await import("./net_devices.ts")).NetDevices : undefined;
  using devices = NetDevices === undefined ? undefined : new NetDevices(spec.linux);
  using undo = new DisposableStack();
  store.claim(options.id);
  using _lock = store.lock(options.id);
  undo.defer(() => store.remove(options.id));
  cgroup.refuseIfUsed();
  undo.defer(() => scope?.end());
  undo.defer(() => cgroup.remove());
  undo.defer(() => resctrl?.remove());
  undo.defer(() => devices?.putBack());
  const socket = options.startNow ? undefined : store.listen(options.id);
  const note = (pid: number) => {
    const init = identify(pid);
    if (init === undefined) return; // it has ended already, and will be heard of
    record = { ...record, init };
    store.note(record);
  };
  // Before anything else is made: whoever deletes what we leave half made needs it.
  if (layout.mode === "v2") store.note(record);
  const birthplace = scope === undefined ? cgroup.createFirst() : undefined;
  let enclosed: number | undefined;
  const enclose = (pid: number) => {
    if (enclosed === pid) return;
    scope?.start(pid);
    if (birthplace === undefined) cgroup.create();
    if (!options.noCgroup) cgroup.apply(spec.linux.resources, scope?.tell);
    enclosed = pid;
  };
  const plan = initPlan(options, spec, { rootfs, layout, cgroup, record, socket });
  const started = launch(birthplace === undefined ? plan : { ...plan, birthplace }, {
    meanwhile(pid) {
      note(pid); // likewise
      enclose(pid);
      resctrl?.make();
    },
    forked(pid) {
      if (scope !== undefined) enclose(pid); // it ends with the first, should that one hang
      devices?.move(pid);
      resctrl?.join(pid);
      if (isNew(spec.linux.namespaces, "user")) cgroup.add(pid);
      if (pid !== record.init?.pid) note(pid);
    },
    afterwards: () => store.writeConfig(options.id, spec),
    mounted: (pid) => {
      for (const [place, status] of CREATOR_HOOKS) {
        runHooks(place, spec.hooks[place] ?? [], stateWithPid(hookState(record, status), pid));
      }
    },
    listening: (listener, pid) => {
      const state = stateWithPid(hookState(record, "creating"), pid);
      sendProcessState(spec.linux.seccomp ?? {}, { pid, state }, listener);
    },
    ready: (ready, outlook) => {
      // Who starts it has to say what is wrong, should it fail.
      if (outlook?.problem !== undefined) store.note({ ...record, outlook });
      store.confirm(options.id);
      handOver(options, ready);
    },
  });
  if (socket !== undefined) close(socket);
  if (options.startNow) {
    store.confirm(options.id);
    handOver(options, started);
  }
  undo.move();
  return { store, record, spec, cgroup, started };
}

function usualCgroup(layout: CgroupLayout, { linux }: Spec, options: CreateOptions): Cgroup {
  const location = locateCgroup({
    cgroupsPath: linux.cgroupsPath,
    id: options.id,
    systemd: options.systemdCgroup,
    layout,
    ownCgroup: () => readFile("/proc/self/cgroup"),
  });
  return planCgroup(layout, location, linux.resources, { figures: true });
}

/** The scope that its cgroup is to be, where there is a systemd to be asked for it. */
async function planScope({ linux }: Spec, options: CreateOptions) {
  const { id, systemdCgroup, noCgroup, warn } = options;
  if (!systemdCgroup || noCgroup) return undefined;
  const { isBooted } = await import("../systemd/units.ts");
  const unit = systemdUnit(linux.cgroupsPath, id);
  if (!isBooted() || !unit.name.endsWith(".scope")) return undefined;
  const { endScope, startScope, tellLimits } = await import("./systemd_scope.ts");
  return {
    name: unit.name,
    start: (pid: number) => startScope(unit, id, pid),
    tell: tellLimits(unit.name),
    end: () => endScope(unit.name, systemdPath(unit), warn),
  };
}

/** Mounts that would show its cgroup are left out: it has none. */
function withoutCgroup(spec: Spec, asked: Spec, { warn }: CreateOptions): Spec {
  if (asked.linux.resources.devices?.some(({ allow }) => !allow) === true) {
    warn("linux.resources.devices: not enforced, the cgroup manager is disabled");
  }
  return { ...spec, mounts: spec.mounts.filter(({ type }) => type !== "cgroup") };
}

/** Its class of service in the resctrl file system, which `unsupported` has seen. */
async function planClass(intelRdt: IntelRdt, id: string) {
  const { planResctrl, makeResctrl, joinResctrl, removeResctrl, resctrlRoot } = await import(
    "./resctrl.ts"
  );
  const root = resctrlRoot(readFile("/proc/self/mountinfo")) ?? "/sys/fs/resctrl";
  const plan = planResctrl(intelRdt, id, root);
  return {
    record: plan.record,
    make: () => makeResctrl(plan),
    join: (pid: number) => joinResctrl(plan, pid),
    remove: () => removeResctrl(plan.record),
  };
}

function withListeners(spec: Spec, count: number): Spec {
  if (count === 0) return spec;
  const { process } = spec;
  const env = [...process.env, `LISTEN_FDS=${count}`, "LISTEN_PID=1"];
  return { ...spec, process: { ...process, env } };
}

function readConfigFile(bundle: string): string {
  const path = `${bundle}/config.json`;
  try {
    return readFile(path);
  } catch (cause) {
    throw new MydockerError(`cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}

function checkTerminal(spec: Spec, { consoleSocket, startNow, detached }: CreateOptions): void {
  const leaves = !startNow || detached;
  if (spec.process.terminal && leaves && consoleSocket === undefined) {
    const what = "cannot allocate a terminal without a console socket when detached";
    throw new MydockerError(`${what}: process.terminal is true, --console-socket is missing`);
  }
  if (consoleSocket !== undefined && (!spec.process.terminal || !leaves)) {
    const why = spec.process.terminal
      ? "the container is in the foreground"
      : "process.terminal is false";
    throw new MydockerError(`cannot use a console socket: ${why}`);
  }
}

function rootDirectory(bundle: string, { root }: Spec): string {
  const path = root.path.startsWith("/") ? root.path : `${bundle}/${root.path}`;
  if (statIfExists(path) === undefined) {
    throw new MydockerError(`root.path: ${path}: no such file or directory`);
  }
  return realPath(path);
}

interface Parts {
  readonly rootfs: string;
  readonly layout: CgroupLayout;
  readonly cgroup: Cgroup;
  readonly record: ContainerRecord;
  readonly socket: number | undefined;
}

function initPlan(options: CreateOptions, spec: Spec, parts: Parts): InitPlan {
  const { rootfs, layout, cgroup, record, socket } = parts;
  const { terminal, consoleSize } = spec.process;
  const operations = planRootfs(spec, {
    bundle: options.bundle,
    cgroup: cgroupFacts(layout, cgroup, spec.linux.namespaces),
    ...(spec.linux.mountLabel === undefined ? {} : { selinux: hasSelinux() }),
  });
  const made = new Set(cgroup.members.map(({ directory }) => directory));
  const withHooks = Object.keys(spec.hooks).length > 0;
  return {
    spec,
    ...holdBack(operations, made),
    root: { kind: "directory", path: rootfs },
    attachAt: rootfs,
    // Ids of a new user namespace may not write to cgroup files: then the creator adds init to it.
    joinFiles: isNew(spec.linux.namespaces, "user") ? [] : cgroup.joinFiles,
    stdinIsPipe: true,
    ...(terminal && consoleSize !== undefined ? { windowSize: windowSizeOf(consoleSize) } : {}),
    preserved: options.preserveFds,
    ...filterOf(spec.linux),
    ...(options.newKeyring ? { keyring: options.id } : {}),
    dieWithParent: false,
    reaper: false,
    ...(socket === undefined ? {} : { startSocket: socket }),
    ...(withHooks
      ? { hookState: hookState(record, socket === undefined ? "creating" : "created") }
      : {}),
    noPivot: options.noPivot,
  };
}

/** Whether the kernel has SELinux, and it is on (selinux(8)). */
const hasSelinux = (): boolean => statIfExists("/sys/fs/selinux/enforce") !== undefined;

/** What a mount of type `cgroup` is to show. */
function cgroupFacts(
  { mode }: CgroupLayout,
  { members }: Cgroup,
  namespaces: readonly NamespaceEntry[],
): CgroupFacts {
  return {
    version: mode === "v2" ? 2 : 1,
    namespace: namespaces.some(({ type }) => type === "cgroup"),
    hierarchies: members.map(({ hierarchy, directory }) => {
      const name = hierarchy.controllers.join(",");
      return { name, data: name, directory };
    }),
  };
}

/** Terminal and pidfd to whoever asked for them, and the pid file, without a newline, renamed into place. */
function handOver(
  { consoleSocket, pidfdSocket, pidFile }: CreateOptions,
  { pid, pidfd, console }: Started,
): void {
  if (consoleSocket !== undefined && console !== undefined) {
    sendDescriptor(consoleSocket, "/dev/ptmx", console);
  }
  if (pidfdSocket !== undefined) sendDescriptor(pidfdSocket, "pidfd", pidfd);
  if (pidFile !== undefined) replaceFile(pidFile, String(pid), { mode: 0o644 });
}

/** Now, in RFC 3339 with nanoseconds. */
function timestamp(): string {
  const now = new Date();
  const nanoseconds = Math.floor((performance.now() % 1) * 1e6);
  return now.toISOString().replace("Z", `${String(nanoseconds).padStart(6, "0")}Z`);
}

/** The name of the user that we are, by the host's passwd; the number if it has none. */
function userName(): string {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return "root";
  const line = readFile("/etc/passwd")
    .split("\n")
    .find((entry) => entry.split(":")[2] === String(uid));
  return line?.split(":")[0] ?? String(uid);
}
