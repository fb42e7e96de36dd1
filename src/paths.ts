/** Where state lives. Imports nothing of ours. */

/** Folders of one installation. All are mode 0700. */
export interface Paths {
  /** Survives a reboot: images, containers. */
  readonly root: string;
  /** Gone after a reboot: locks of running containers, their generated files. */
  readonly run: string;
}

/**
 * `/var/lib/mydocker` and `/run/mydocker`, unless MYDOCKER_ROOT and MYDOCKER_RUN name others. What
 * somebody keeps apart must not end in the usual place: a relative path is one from here.
 */
export function statePaths(env: Readonly<Record<string, string | undefined>> = process.env): Paths {
  return {
    root: absolute(env["MYDOCKER_ROOT"]) ?? "/var/lib/mydocker",
    run: absolute(env["MYDOCKER_RUN"]) ?? "/run/mydocker",
  };
}

function absolute(path: string | undefined): string | undefined {
  if (path === undefined || path === "") return undefined;
  const trimmed = path.replace(/\/+$/, "") || "/";
  return trimmed.startsWith("/") ? trimmed : `${process.cwd()}/${trimmed}`;
}
