/** Numbers on the command line. */
import { UsageError } from "../../errors.ts";
import { quote } from "../../quote.ts";

/** A decimal integer, with the words of Go's strconv.ParseInt for what is not one. */
export function parseInteger(text: string): number {
  if (!/^[+-]?\d+$/.test(text))
    throw new UsageError(`strconv.ParseInt: parsing ${quote(text)}: invalid syntax`);
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new UsageError(`strconv.ParseInt: parsing ${quote(text)}: value out of range`);
  return value;
}

/** `--cpus 1.5` or `3/2`: processors, at most nine places after the point. */
export function parseCpus(text: string): number {
  const match = /^(\d+\.?\d*|\.\d+)(?:\/(\d+))?$/.exec(text);
  const divisor = Number(match?.[2] ?? 1);
  if (match === null || divisor === 0)
    throw new UsageError(`failed to parse ${text} as a rational number`);
  const cpus = Number(match[1]) / divisor;
  // Doubles miss a whole number of billionths by far less than this.
  const billionths = cpus * 1e9;
  if (Math.abs(billionths - Math.round(billionths)) > 1e-4)
    throw new UsageError("value is too precise");
  return cpus;
}
