/** stdout. */
import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";

/**
 * Writes to stdout and waits until it is written. A reader that has left (`mydocker images | head`)
 * is no error: what it wanted, it has read.
 *
 * Through Bun, because `process.stdout` takes 6 ms to load, and the C library half a millisecond.
 */
export async function print(text: string): Promise<void> {
  if (text === "") return; // Bun would truncate a file that stdout is
  try {
    await Bun.write(Bun.stdout, encodeBytes(text));
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    if ("code" in cause && cause.code === "EPIPE") return;
    throw new MydockerError(`cannot write to stdout: ${cause.message}`, { cause });
  }
}
