/** From the parsed command line of `run` to what the engine is asked for. */
import type { MountRequest, RunOptions, StreamKind } from "../engine/run_options.ts";
import { ClientError, MydockerError, UsageError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { getcwd, ifExists, lstat, readFile } from "../linux/file.ts";
import type { ParsedCommandLine } from "./argv.ts";
import { defined } from "./defined.ts";
import { readEnvironment } from "./environment.ts";
import { composeIo } from "./io_table.ts";
import { composeHealthcheck } from "./run_health.ts";
import { composeLog } from "./run_log.ts";
import { composeNetwork } from "./run_network.ts";
import { composeResources } from "./run_resources.ts";
import type { RUN_OPTIONS } from "./run_table.ts";
import { parseKeyValueFile, parseLabel } from "./values/key_values.ts";
import { absolutePath } from "./values/path.ts";
import { parseRestart } from "./values/restart.ts";
import { composeSecurity } from "./values/security_option.ts";

type Input = ParsedCommandLine<typeof RUN_OPTIONS>;

/** @throws {UsageError} when options contradict each other, or a file they name is not as it should be */
export function composeRunOptions({ values, positionals }: Input): RunOptions {
  const [image, ...args] = positionals;
  const uts = values.uts ?? "private";
  if (uts === "host" && (values.hostname ?? values.domainname) !== undefined)
    throw new UsageError("conflicting options: hostname and the UTS mode");
  const adjustment = values["oom-score-adj"];
  if (adjustment !== undefined && Math.abs(adjustment) > 1000)
    throw new UsageError(`Invalid value ${adjustment}, range for oom score adj is [-1000, 1000]`);
  if (values.cidfile !== undefined) checkIdFile(values.cidfile);
  if (!values["disable-content-trust"])
    throw new UsageError("content trust is not supported: images are verified by their digests");
  const attach = composeAttach(values);
  const restart = values.restart === undefined ? undefined : parseRestart(values.restart);
  if (values.rm && restart !== undefined && restart.name !== "no")
    throw new UsageError("conflicting options: cannot specify both --restart and --rm");
  return {
    args: values.rootfs === undefined ? args : positionals,
    remove: values.rm,
    interactive: values.interactive,
    tty: values.tty,
    init: values.init,
    privileged: values.privileged,
    readonlyRoot: values["read-only"],
    ...composeSecurity(values["security-opt"]),
    groupAdd: values["group-add"],
    env: composeEnvironment(values["env-file"], values.env),
    labels: composeLabels(values["label-file"], values.label),
    mounts: composeMounts(values.volume, values.mount, values.tmpfs),
    ...(values["volumes-from"].length === 0 ? {} : { volumesFrom: values["volumes-from"] }),
    devices: values.device,
    deviceRules: values["device-cgroup-rule"],
    ...composeNetwork(values),
    pid: values.pid ?? "private",
    ipc: values.ipc ?? "private",
    uts,
    capAdd: values["cap-add"],
    capDrop: values["cap-drop"],
    ulimits: [...new Map(values.ulimit.map((limit) => [limit.name, limit])).values()],
    sysctls: Object.fromEntries(values.sysctl),
    resources: {
      ...composeResources(values, navigator.hardwareConcurrency),
      ...composeIo(values),
    },
    sigProxy: values["sig-proxy"],
    ...defined({
      image: values.rootfs === undefined ? image : undefined,
      rootfs: values.rootfs === undefined ? undefined : rootDirectory(values.rootfs),
      name: values.name,
      hostname: values.hostname,
      domainname: values.domainname,
      workdir: values.workdir,
      user: values.user,
      entrypoint: values.entrypoint,
      pull: values.pull,
      quietPull: values.quiet || undefined,
      platform: values.platform,
      shmSize: values["shm-size"] || undefined,
      oomScoreAdj: adjustment,
      cgroupParent: values["cgroup-parent"],
      cgroupns: values.cgroupns,
      userns: values.userns,
      stopSignal: values["stop-signal"],
      stopTimeout: values["stop-timeout"],
      restart,
      healthcheck: composeHealthcheck(values),
      log: composeLog(values["log-driver"], values["log-opt"]),
      stdinOnce: (values.interactive && !values.detach) || undefined,
      attach,
      annotations:
        values.annotation.length === 0 ? undefined : Object.fromEntries(values.annotation),
      cidfile: values.cidfile === undefined ? undefined : absolutePath(values.cidfile, getcwd()),
    }),
  };
}

/** All outputs, unless it is said which; and the input with `-i`. */
function composeAttach({
  attach,
  detach,
  interactive,
}: Input["values"]): readonly StreamKind[] | undefined {
  if (detach) {
    if (attach.length === 0) return undefined;
    throw new ClientError("Conflicting options: -a and -d");
  }
  const outputs: readonly StreamKind[] = attach.length === 0 ? ["stdout", "stderr"] : attach;
  return [...new Set<StreamKind>(interactive ? ["stdin", ...outputs] : outputs)];
}

function checkIdFile(path: string): void {
  if (ifExists(() => lstat(path)) !== undefined)
    throw new MydockerError(
      `container ID file found, make sure the other container isn't running or delete ${path}`,
      { exitCode: 125 },
    );
}

/** Files first, then `-e`. A NAME alone takes the value that it has here, if it has one. */
export function composeEnvironment(files: readonly string[], given: readonly string[]): string[] {
  const lookUp = readEnvironment();
  const passOn = (entry: string): string => {
    const value = entry.includes("=") ? undefined : lookUp(entry);
    return value === undefined ? entry : `${entry}=${value}`;
  };
  // A file's NAME that is not set here is no variable; of -e it is one to take away.
  const entries: string[] = [];
  for (const file of files) {
    for (const entry of readPairs(file).map(passOn)) if (entry.includes("=")) entries.push(entry);
  }
  return [...entries, ...given.map(passOn)];
}

function composeLabels(
  files: readonly string[],
  given: readonly (readonly [string, string])[],
): Readonly<Record<string, string>> {
  if (files.length === 0 && given.length === 0) return {};
  return Object.fromEntries([...files.flatMap(readPairs).map(parseLabel), ...given]);
}

function readPairs(file: string): string[] {
  try {
    return parseKeyValueFile(readFile(file), file);
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    throw new MydockerError(`open ${file}: ${errnoText(cause.errno)}`, { exitCode: 125, cause });
  }
}

function composeMounts(...lists: readonly (readonly MountRequest[])[]): readonly MountRequest[] {
  const mounts = lists.flat();
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) throw new UsageError(`Duplicate mount point: ${target}`);
    targets.add(target);
  }
  return mounts;
}

/** An empty one, as of an unset variable in a script, must not mean the current directory. */
function rootDirectory(path: string): string {
  if (path === "") throw new UsageError("--rootfs needs a directory");
  return absolutePath(path, getcwd());
}
