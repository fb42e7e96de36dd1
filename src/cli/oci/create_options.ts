/** Options that `create` and `run` share. */
import type { CreateOptions } from "../../runtime/create.ts";
import type { OptionTable, Values } from "../option_table.ts";
import type { Globals } from "./globals.ts";
import { report } from "./report.ts";

/** As runc's. */
export const CREATE_OPTIONS = {
  bundle: {
    type: "value",
    short: "b",
    value: "DIR",
    description: "The directory with config.json (default the current one)",
    complete: "directory",
  },
  "console-socket": {
    type: "value",
    value: "PATH",
    description: "UNIX socket that gets the master of the terminal",
    complete: "file",
  },
  "pidfd-socket": {
    type: "value",
    value: "PATH",
    description: "UNIX socket that gets a pidfd of the first process",
    complete: "file",
  },
  "pid-file": {
    type: "value",
    value: "FILE",
    description: "Write the first process's pid there",
    complete: "file",
  },
  "no-pivot": { type: "boolean", description: "Change the root by chroot, for a host on a ramfs" },
  "no-new-keyring": { type: "boolean", description: "Keep the session keyring of the caller" },
  "preserve-fds": {
    type: "value",
    value: "N",
    description: "Pass N further descriptors, from 3 up, to the process",
    parse: count,
  },
} as const satisfies OptionTable;

/** @throws {Error} for what is no number of descriptors */
export function count(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number < 1024) return number;
  throw new Error(`invalid number of descriptors: ${JSON.stringify(text)}`);
}

/** What the runtime is told. */
export function createOptions(
  id: string,
  values: Values<typeof CREATE_OPTIONS>,
  globals: Globals,
  mode: { startNow: boolean; detached: boolean },
): CreateOptions {
  const given = values.bundle ?? "";
  const bundle = given.startsWith("/") ? given : `${process.cwd()}/${given}`;
  return {
    root: globals.root,
    id,
    bundle: bundle.replace(/(?<=.)\/+$/, ""),
    ...(values["console-socket"] ? { consoleSocket: values["console-socket"] } : {}),
    ...(values["pidfd-socket"] ? { pidfdSocket: values["pidfd-socket"] } : {}),
    ...(values["pid-file"] ? { pidFile: values["pid-file"] } : {}),
    noPivot: values["no-pivot"],
    newKeyring: !values["no-new-keyring"],
    preserveFds: preserved(values["preserve-fds"]),
    listenFds: listening(),
    systemdCgroup: globals.systemdCgroup,
    noCgroup: globals.noCgroup,
    warn: (message) => report("warning", message, globals),
    ...mode,
  };
}

/** How many descriptors pass on: sockets of systemd's come first. */
export const preserved = (given = 0): number => given + listening();

/** How many sockets systemd has passed to us (sd_listen_fds(3)). */
function listening(): number {
  const count = Number(process.env["LISTEN_FDS"] ?? 0);
  return Number.isInteger(count) && count > 0 ? count : 0;
}
