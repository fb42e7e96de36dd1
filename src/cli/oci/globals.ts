/** Options that stand before the OCI runtime's commands. */
import { MydockerError } from "../../errors.ts";
import type { OptionTable, Values } from "../option_table.ts";

/** As runc's, and crun's `--cgroup-manager`. */
export const OCI_GLOBALS = {
  root: {
    type: "value",
    value: "DIR",
    description: "Where containers are recorded (default /run/mydocker-oci)",
    complete: "directory",
  },
  log: {
    type: "value",
    value: "FILE",
    description: "Write errors and warnings there as well",
    complete: "file",
  },
  "log-format": {
    type: "value",
    value: "FORMAT",
    description: "text or json (default text)",
    complete: ["text", "json"],
  },
  debug: { type: "boolean", description: "Show every kernel call on stderr" },
  "systemd-cgroup": {
    type: "boolean",
    description:
      "cgroupsPath is SLICE:PREFIX:NAME, a scope that systemd is asked for where it runs",
  },
  "cgroup-manager": {
    type: "value",
    value: "MANAGER",
    description: "cgroupfs, systemd or disabled, as crun knows them",
    complete: ["cgroupfs", "systemd", "disabled"],
  },
  rootless: {
    type: "value",
    value: "BOOL",
    description: "Taken for compatibility, without effect: true, false or auto",
    complete: ["true", "false", "auto"],
  },
  criu: { type: "value", value: "PATH", description: "Taken for compatibility", hidden: true },
  version: { type: "boolean", short: "v", description: "Show the version" },
} as const satisfies OptionTable;

/** What holds for every command. */
export interface Globals {
  readonly root: string;
  readonly log?: string;
  readonly logFormat: "text" | "json";
  readonly debug: boolean;
  readonly systemdCgroup: boolean;
  /** Containers get no cgroup. */
  readonly noCgroup: boolean;
}

/** @throws {MydockerError} for a value that there is not */
export function readGlobals(values: Values<typeof OCI_GLOBALS>): Globals {
  const format = values["log-format"] ?? "text";
  if (format !== "text" && format !== "json") {
    throw new MydockerError(`invalid log format ${JSON.stringify(format)}: text or json`);
  }
  const manager = values["cgroup-manager"] ?? "cgroupfs";
  if (manager !== "cgroupfs" && manager !== "systemd" && manager !== "disabled") {
    throw new MydockerError(
      `invalid cgroup manager ${JSON.stringify(manager)}: cgroupfs, systemd or disabled`,
    );
  }
  const rootless = values.rootless ?? "auto";
  if (!/^(1|t|true|0|f|false|auto)$/i.test(rootless)) {
    throw new MydockerError(`invalid --rootless ${JSON.stringify(rootless)}: true, false or auto`);
  }
  const root = values.root ?? "/run/mydocker-oci";
  return {
    root: root.startsWith("/") ? root : `${process.cwd()}/${root}`,
    ...(values.log === undefined || values.log === "" ? {} : { log: values.log }),
    logFormat: format,
    debug: values.debug,
    systemdCgroup: values["systemd-cgroup"] || manager === "systemd",
    noCgroup: manager === "disabled",
  };
}
