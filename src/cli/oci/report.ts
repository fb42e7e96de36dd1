/** Errors and warnings of the OCI runtime: to stderr, and as one line to the log that clients read. */
import { encodeBytes } from "../../ffi/bytes.ts";
import { close, O, open, writeAll } from "../../linux/fd.ts";
import type { Globals } from "./globals.ts";

/** Says what went wrong. @returns the exit code */
export function reportFailure(error: unknown, globals: Globals | undefined): number {
  const message = error instanceof Error ? error.message : String(error);
  report("error", message, globals);
  return 1;
}

/**
 * Says something on stderr, and in the log if there is one. A warning is in one of them only: stderr
 * is also the container's, whose output it would be.
 */
export function report(
  level: "error" | "warning",
  message: string,
  globals: Globals | undefined,
): void {
  const text = message.replaceAll("\n", " ");
  if (level === "error" || globals?.log === undefined) {
    writeAll(2, encodeBytes(`mydocker-oci: ${level}: ${text}\n`));
  }
  if (globals?.log === undefined) return;
  const time = new Date().toISOString();
  const line =
    globals.logFormat === "json"
      ? JSON.stringify({ level, msg: text, time })
      : `time="${time}" level=${level} msg=${JSON.stringify(text)}`;
  try {
    const fd = open(globals.log, O.O_WRONLY | O.O_CREAT | O.O_APPEND, 0o644);
    writeAll(fd, encodeBytes(`${line}\n`));
    close(fd);
  } catch (error) {
    writeAll(2, encodeBytes(`mydocker-oci: cannot write the log: ${(error as Error).message}\n`));
  }
}
