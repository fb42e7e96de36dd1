/** stdout. */
import { encodeBytes } from "../ffi/bytes.ts";

/**
 * Writes to stdout and waits until it is written. A reader that has left (`mydocker images | head`)
 * is no error: what it wanted, it has read.
 *
 * Through Bun, because `process.stdout` takes 6 ms to load, and the C library half a millisecond.
 */
export async function print(text: string): Promise<void> {
  try {
    await Bun.write(Bun.stdout, encodeBytes(text));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EPIPE")) throw error;
  }
}
