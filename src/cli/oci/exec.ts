/** `exec`: a further process in a container, described by a file or by options. */
import { MydockerError } from "../../errors.ts";
import { readFile } from "../../linux/file.ts";
import { execInContainer } from "../../runtime/exec.ts";
import type { Process, Spec } from "../../runtime/spec.ts";
import { RuntimeStore } from "../../runtime/store.ts";
import { parseProcess } from "../../runtime/validate.ts";
import type { ParsedCommandLine } from "../argv.ts";
import type { OptionTable, Values } from "../option_table.ts";
import { defineOciCommand } from "./command.ts";
import { count, preserved } from "./create_options.ts";
import type { Globals } from "./globals.ts";
import { report, reportFailure } from "./report.ts";

const OPTIONS = {
  process: {
    type: "value",
    short: "p",
    value: "FILE",
    description: "JSON like config.json's process",
  },
  "console-socket": {
    type: "value",
    value: "PATH",
    description: "UNIX socket that gets the master of the terminal",
  },
  "pidfd-socket": { type: "value", value: "PATH", description: "UNIX socket that gets a pidfd" },
  "pid-file": { type: "value", value: "FILE", description: "Write the process's pid there" },
  detach: { type: "boolean", short: "d", description: "Leave when the process runs" },
  tty: { type: "boolean", short: "t", description: "Give it a terminal" },
  user: { type: "value", short: "u", value: "UID[:GID]", description: "Run as this user" },
  "additional-gids": {
    type: "list",
    short: "g",
    value: "GID",
    description: "A further group",
    parse: (text: string) => number(text, "--additional-gids"),
  },
  cwd: { type: "value", value: "DIR", description: "Working directory" },
  env: { type: "list", short: "e", value: "NAME=VALUE", description: "Set a variable" },
  cap: { type: "list", short: "c", value: "CAP", description: "Add a capability to all its sets" },
  "no-new-privs": { type: "boolean", description: "It cannot gain privileges" },
  apparmor: { type: "value", value: "PROFILE", description: "AppArmor profile" },
  "process-label": { type: "value", value: "LABEL", description: "SELinux label" },
  "preserve-fds": {
    type: "value",
    value: "N",
    description: "Pass N further descriptors, from 3 up",
    parse: count,
  },
  "ignore-paused": {
    type: "boolean",
    description: "Also in a paused container: it runs when that goes on",
  },
  "no-subreaper": { type: "boolean", description: "Taken for compatibility", hidden: true },
  cgroup: { type: "list", value: "PATH", description: "Taken for compatibility", hidden: true },
} as const satisfies OptionTable;

/** The exit code when it was not executed: another one is its own. As runc's. */
const NOT_EXECUTED = 255;

/** As runc's. */
export const command = defineOciCommand({
  description: "Run a further process in a container",
  options: OPTIONS,
  usage: "ID [COMMAND [ARG...]]",
  min: 1,
  max: Number.POSITIVE_INFINITY,
  async run(input, globals) {
    try {
      return await execute(input, globals);
    } catch (error) {
      reportFailure(error, globals);
      return NOT_EXECUTED;
    }
  },
});

async function execute(
  { positionals: [id = "", ...args], values }: ParsedCommandLine<typeof OPTIONS>,
  globals: Globals,
): Promise<number> {
  const store = new RuntimeStore(globals.root);
  store.read(id); // that it is missing is said first
  const warn = (message: string) => report("warning", message, globals);
  const process =
    values.process === undefined || values.process === ""
      ? processOf(store.readConfig(id), args, values)
      : parseProcess(readFile(values.process), warn);
  const detached = values.detach;
  const foreground = detached ? undefined : await import("./attend.ts");
  using signals = foreground?.catchSignals();
  const started = execInContainer(store, id, {
    process,
    ...(values["console-socket"] ? { consoleSocket: values["console-socket"] } : {}),
    ...(values["pidfd-socket"] ? { pidfdSocket: values["pidfd-socket"] } : {}),
    ...(values["pid-file"] ? { pidFile: values["pid-file"] } : {}),
    preserveFds: preserved(values["preserve-fds"]),
    detached,
    ignorePaused: values["ignore-paused"],
    warn,
  });
  if (foreground === undefined || signals === undefined) return 0;
  return (await foreground.attendTo(started, signals)).code;
}

/** The container's own process with what the options change. */
function processOf(
  { process }: Spec,
  args: readonly string[],
  values: Values<typeof OPTIONS>,
): Process {
  if (args.length === 0) throw new MydockerError("exec: no command given, and no --process");
  const { consoleSize: _, ...base } = process;
  const capabilities = addCapabilities(base.capabilities, values.cap);
  return {
    ...base,
    terminal: values.tty,
    args,
    env: [...base.env, ...values.env],
    cwd: values.cwd ?? base.cwd,
    user: userOf(base.user, values),
    capabilities,
    noNewPrivileges: values["no-new-privs"] || base.noNewPrivileges,
    ...(values.apparmor === undefined ? {} : { apparmorProfile: values.apparmor }),
    ...(values["process-label"] === undefined ? {} : { selinuxLabel: values["process-label"] }),
  };
}

/** As runc: into every set but the ambient one. */
function addCapabilities(
  sets: Process["capabilities"],
  added: readonly string[],
): Process["capabilities"] {
  if (added.length === 0) return sets;
  const names = added.map((name) => name.toUpperCase());
  const more = (set: readonly string[]) => [...new Set([...set, ...names])];
  return {
    ...sets,
    bounding: more(sets.bounding),
    effective: more(sets.effective),
    permitted: more(sets.permitted),
  };
}

function userOf(base: Process["user"], values: Values<typeof OPTIONS>): Process["user"] {
  const { user } = values;
  const gids = values["additional-gids"];
  const additionalGids = gids.length === 0 ? base.additionalGids : gids;
  if (user === undefined) return { ...base, additionalGids };
  const [uid = "", gid] = user.split(":");
  return {
    ...base,
    uid: number(uid, "--user"),
    gid: gid === undefined ? base.gid : number(gid, "--user"),
    additionalGids,
  };
}

function number(text: string, option: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1) return Number(text);
  throw new MydockerError(`${option}: ${JSON.stringify(text)} is no numeric id`);
}
