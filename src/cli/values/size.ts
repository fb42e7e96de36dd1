/** Sizes in bytes, as github.com/docker/go-units reads them (RAMInBytes). */
import { UsageError } from "../../errors.ts";

const SIZE = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i;
const POWERS = { k: 1, m: 2, g: 3, t: 4, p: 5 } as const;
/** The largest number of bytes that Go's int64 holds, as a double. */
const MAX_BYTES = 2 ** 63;

/** `64m`, `1.5g`, `512`, `512b`, `1 KiB`: powers of 1024. @returns bytes, rounded down */
export function parseSize(text: string): number {
  const bytes = sizeOf(text);
  if (bytes === undefined) throw new UsageError(`invalid size: '${text}'`);
  return bytes;
}

/** The same. @returns undefined when it is no size */
export function sizeOf(text: string): number | undefined {
  const match = SIZE.exec(text);
  const unit = match?.[2]?.toLowerCase() as keyof typeof POWERS | undefined;
  const bytes = Math.floor(Number(match?.[1]) * 1024 ** (unit === undefined ? 0 : POWERS[unit]));
  // NaN when nothing matched
  return bytes < MAX_BYTES ? bytes : undefined;
}

/** `--memory-swap`: a size, or -1 for "without limit". */
export function parseSizeOrUnlimited(text: string): number {
  return text === "-1" ? -1 : parseSize(text);
}
