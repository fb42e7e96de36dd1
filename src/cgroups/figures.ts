/** Reading the figures of both versions. */
import type { Count, MemoryEntry } from "./statistics_shape.ts";

/** The number in `text`; 0 for what is none. */
export function count(text: string | undefined): Count {
  if (text === undefined || !/^-?\d+$/.test(text)) return 0;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/** "key number" lines. */
export function flat(text: string | undefined): Record<string, Count> {
  const values: Record<string, Count> = {};
  for (const line of (text ?? "").split("\n")) {
    const [key, value] = line.split(" ");
    if (key !== undefined && value !== undefined) values[key] = count(value);
  }
  return values;
}

/** Without what is 0, as Go's `omitempty` leaves it out. */
export function omitZero<T extends Readonly<Record<string, unknown>>>(values: T): Partial<T> {
  const kept = Object.entries(values).filter(
    ([, value]) => value !== 0 && value !== undefined && value !== "",
  );
  return Object.fromEntries(kept) as Partial<T>;
}

/** Nanoseconds out of microseconds. */
export const nanoseconds = (microseconds: Count | undefined): Count =>
  Number(microseconds ?? 0) * 1000;

/** Memory of one kind. */
export function memoryEntry(limit: Count, usage: Count, max: Count, failcnt: Count): MemoryEntry {
  return { limit, ...omitZero({ usage, max }), failcnt };
}

/** `hugetlb.SIZE.*` for each size that there is, by files that end so. */
export function hugetlbFigures(
  sizes: readonly string[],
  figures: (size: string) => { usage: Count; max: Count; failcnt: Count } | undefined,
): Record<string, { usage?: Count; max?: Count; failcnt: Count }> {
  const all: Record<string, { usage?: Count; max?: Count; failcnt: Count }> = {};
  for (const size of sizes) {
    const found = figures(size);
    if (found === undefined) continue;
    const { failcnt, ...rest } = found;
    all[size] = { ...omitZero(rest), failcnt };
  }
  return all;
}

/** Sizes of huge pages as cgroup files name them; asked for where there are such files. */
export const HUGE_PAGE_SIZES: readonly string[] = [
  ...["64KB", "1MB", "2MB", "16MB", "32MB", "256MB", "512MB", "1GB", "2GB", "16GB"],
];
