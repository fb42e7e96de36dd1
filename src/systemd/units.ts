/** Transient units of systemd: org.freedesktop.systemd1(5). */
import { poll } from "../linux/fd.ts";
import { statIfExists } from "../linux/file.ts";
import { Connection, SystemdError } from "./connection.ts";
import type { Value, Variant } from "./message.ts";

const MANAGER = "org.freedesktop.systemd1.Manager";

/** A property as it is passed: its name and value. */
export type Property = readonly [name: string, value: Variant];

const asValues = (properties: readonly Property[]): Value =>
  properties.map(([name, value]) => [name, value]);

/** Whether this machine was booted with systemd: sd_booted(3). */
export const isBooted = (): boolean => statIfExists("/run/systemd/system") !== undefined;

/** How long one of the same name, whose processes have ended, is waited for in milliseconds. */
const PATIENCE = 3000;

/**
 * Starts a unit that is in no file, and waits until it has been started.
 * @throws {SystemdError} also when one of that name is there, and stays
 */
export function startUnit(name: string, properties: readonly Property[]): void {
  using connection = openForJobs();
  const result = awaitJob(connection, createJob(connection, name, properties));
  if (result !== "done") throw new SystemdError(`the start of ${name} ended with "${result}"`);
}

function openForJobs(): Connection {
  const connection = Connection.open();
  try {
    connection.watch(MANAGER, "JobRemoved");
    connection.call(MANAGER, "Subscribe", "", []);
    return connection;
  } catch (error) {
    connection[Symbol.dispose]();
    throw error;
  }
}

/** @returns how it ended: `done`, `failed` … */
function awaitJob(connection: Connection, job: Value): string {
  const [, , , result] = connection.await("JobRemoved", ([, removed]) => removed === job);
  return String(result);
}

/** systemd hears of the end of a scope's processes a moment after us. */
function createJob(connection: Connection, name: string, properties: readonly Property[]): Value {
  const end = performance.now() + PATIENCE;
  for (;;) {
    try {
      const values = [name, "fail", asValues(properties), []];
      return connection.call(MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", values)[0] ?? "";
    } catch (error) {
      const isTaken = error instanceof SystemdError && error.reason === "UnitExists";
      if (!isTaken || performance.now() > end) throw error;
    }
    forget(connection, name);
    poll([], 20);
  }
}

/** A unit that has failed keeps its name until somebody says so. */
function forget(connection: Connection, name: string): void {
  try {
    connection.call(MANAGER, "ResetFailedUnit", "s", [name]);
  } catch (error) {
    if (!(error instanceof SystemdError) || error.reason !== "NoSuchUnit") throw error;
  }
}

/**
 * Ends a scope that has no processes any more, of which systemd does not always hear when its cgroup
 * is removed. One of that name with another cgroup is somebody else's; a missing one is fine.
 * @throws {SystemdError}
 */
export function stopScope(name: string, cgroup: string): void {
  using connection = openForJobs();
  try {
    const [unit] = connection.call(MANAGER, "GetUnit", "s", [name]);
    const [property] = connection.call(
      "org.freedesktop.DBus.Properties",
      "Get",
      "ss",
      ["org.freedesktop.systemd1.Scope", "ControlGroup"],
      unit as string,
    );
    if ((property as Variant).value !== cgroup) return;
    const [job] = connection.call(MANAGER, "StopUnit", "ss", [name, "replace"]);
    awaitJob(connection, job as Value);
  } catch (error) {
    const isGone = error instanceof SystemdError && /^(NoSuchUnit|Unknown)/.test(error.reason);
    if (!isGone) throw error;
  }
}

/** Changes a unit until the next boot. When this returns, systemd has written what follows from it. */
export function setUnit(name: string, properties: readonly Property[]): void {
  using connection = Connection.open();
  connection.call(MANAGER, "SetUnitProperties", "sba(sv)", [name, true, asValues(properties)]);
  // It writes to cgroups before it looks for the next call.
  connection.call(MANAGER, "GetUnit", "s", [name]);
}
