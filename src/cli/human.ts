/** Times and sizes as Docker says them (github.com/docker/go-units). */

const SECONDS_PER_HOUR = 3600;

/** `3 minutes`, `About an hour`, `2 weeks`. @param seconds how long it took */
export function humanDuration(seconds: number): string {
  if (seconds < 1) return "Less than a second";
  if (seconds < 2) return "1 second";
  if (seconds < 60) return `${Math.floor(seconds)} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(seconds / SECONDS_PER_HOUR + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  const days = Math.floor(hours / 24);
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.floor(days / 7)} weeks`;
  if (days < 730) return `${Math.floor(days / 30)} months`;
  return `${Math.floor(days / 365)} years`;
}

/** How long ago a moment was. @param time RFC 3339 @param now milliseconds since 1970 */
export function humanAge(time: string, now: number): string {
  return humanDuration(Math.max(0, now - Date.parse(time)) / 1000);
}

const DECIMAL_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;
const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `72.8MB`: three digits, powers of 1000. */
export function humanSize(bytes: number): string {
  return scale(bytes, 1000, DECIMAL_UNITS, 3);
}

/** `72.83MB`: four digits, powers of 1000. */
export function humanTotal(bytes: number): string {
  return scale(bytes, 1000, DECIMAL_UNITS, 4);
}

/** `1.952GiB`: four digits, powers of 1024. */
export function humanBinarySize(bytes: number): string {
  return scale(bytes, 1024, BINARY_UNITS, 4);
}

function scale(bytes: number, base: number, units: readonly string[], digits: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= base && unit < units.length - 1) [value, unit] = [value / base, unit + 1];
  return `${Number(value.toPrecision(digits))}${units[unit]}`;
}

/** At most `width` characters; what is longer ends in "…". */
export function ellipsis(text: string, width: number): string {
  if (text.length <= width) return text;
  const chars = [...text];
  return chars.length <= width ? text : `${chars.slice(0, width - 1).join("")}…`;
}

/** RFC 3339 as Docker lists it: `2024-05-01 12:00:00 +0000 UTC`. */
export function listedTime(time: string): string {
  return Number.isNaN(Date.parse(time))
    ? ""
    : `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} +0000 UTC`;
}
