/** `--device-read-bps DEVICE:RATE` and its like, in Docker's words (docker/cli: opts/throttledevice.go, weightdevice.go). */
import type { DeviceRate } from "../../engine/run_options.ts";
import { UsageError } from "../../errors.ts";
import { sizeOf } from "./size.ts";

/** @returns the path, and what stands behind the last colon */
function split(text: string): readonly [path: string, rate: string] {
  const colon = text.lastIndexOf(":");
  if (colon <= 0 || colon === text.length - 1) throw new UsageError(`bad format: ${text}`);
  const path = text.slice(0, colon);
  if (!path.startsWith("/dev/")) throw new UsageError(`bad format for device path: ${text}`);
  return [path, text.slice(colon + 1)];
}

/** Bytes a second. */
export function parseDeviceBytes(text: string): DeviceRate {
  const [path, said] = split(text);
  const rate = sizeOf(said);
  if (rate === undefined) {
    const format = "The correct format is <device-path>:<number>[<unit>]";
    throw new UsageError(
      `invalid rate for device: ${text}. ${format}. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`,
    );
  }
  return { path, rate };
}

/** Operations a second. */
export function parseDeviceOperations(text: string): DeviceRate {
  const [path, said] = split(text);
  if (!/^\d+$/.test(said) || !Number.isSafeInteger(Number(said))) {
    throw new UsageError(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>. Number must be a positive integer`,
    );
  }
  return { path, rate: Number(said) };
}

/** A share of one device's time. */
export function parseDeviceWeight(text: string): DeviceRate {
  const [path, said] = split(text);
  const rate = Number(said);
  if (!/^\d+$/.test(said) || !isWeight(rate))
    throw new UsageError(`invalid weight for device: ${text}`);
  return { path, rate };
}

/** A share of every device's time; 0 for none. */
export function parseWeight(text: string): number {
  const weight = Number(text);
  if (!/^\d+$/.test(text)) throw new UsageError(`invalid weight: ${text}`);
  if (!isWeight(weight)) throw new UsageError("Range of blkio weight is from 10 to 1000");
  return weight;
}

const isWeight = (weight: number): boolean => weight === 0 || (weight >= 10 && weight <= 1000);
