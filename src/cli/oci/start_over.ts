/** The way out when a forked child hangs in the JavaScript runtime: this process starts over. */
import { execve, stringVector } from "../../linux/process.ts";
import { StuckError } from "../../runtime/launch_error.ts";
import { SINGLE_THREADED } from "../../runtime/stage.ts";

/**
 * Does what forks; should the child hang, or MYDOCKER_FORK=stage say so, this process executes itself
 * again, with one thread, from which nothing that hangs is inherited (runtime/stage.ts).
 */
export function startOver<T>(fork: () => T): T {
  const isSecond = SINGLE_THREADED.every((variable) => isSet(variable));
  if (process.env["MYDOCKER_FORK"] === "stage" && !isSecond) return again();
  try {
    return fork();
  } catch (error) {
    if (!(error instanceof StuckError) || isSecond) throw error;
    return again();
  }
}

function isSet(variable: string): boolean {
  const [name = "", value] = variable.split("=");
  return process.env[name] === value;
}

function again(): never {
  const kept = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
  const argv = [process.argv0, ...process.argv.slice(2)];
  return execve(process.execPath, stringVector(argv), stringVector([...kept, ...SINGLE_THREADED]));
}
