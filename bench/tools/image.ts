/** The default image in a session's state directory. */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { timeProgram } from "./measure.ts";
import type { Session } from "./session.ts";

/** The command line of a container that runs a command of the default image, and goes. */
export function runCommand(session: Session, ...command: readonly string[]): string[] {
  return [session.executable, "run", "--rm", "--network", "none", "busybox", ...command];
}

/** Runs a first container, so that the image is unpacked. @returns where it is */
export function unpackImage(session: Session): string {
  timeProgram(session, runCommand(session, "true"));
  const layers = join(session.folder, "root/images/layers");
  return join(layers, readdirSync(layers)[0] as string, "diff");
}
