/** Values of options that are Docker's more than ours: what has no other meaning here is refused in its words. */
import { parseDetachKeys } from "../../engine/attach_keys.ts";
import type { StreamKind } from "../../engine/run_options.ts";
import { UsageError } from "../../errors.ts";
import { quote } from "../../quote.ts";
import { splitPair } from "./key_values.ts";

const STREAMS: readonly string[] = ["stdin", "stdout", "stderr"] satisfies StreamKind[];

/** `-a STDOUT`. */
export function parseStream(text: string): StreamKind {
  const stream = text.toLowerCase();
  if (!STREAMS.includes(stream)) throw new UsageError("valid streams are STDIN, STDOUT and STDERR");
  return stream as StreamKind;
}

/** `--annotation name=value`; without a value it is empty. */
export function parseAnnotation(text: string): readonly [string, string] {
  const { name, value = "" } = splitPair(text);
  if (name === "") throw new UsageError(`invalid annotation '${text}': empty name`);
  return [name, value];
}

/** Keys as they are typed; they are only judged. */
export function checkDetachKeys(text: string): string {
  if (text !== "") parseDetachKeys(text);
  return text;
}

/** Other ones there are on Windows. */
export function parseIsolation(text: string): string {
  if (text === "" || text.toLowerCase() === "default") return "default";
  throw new UsageError(`invalid isolation: ${quote(text)} - linux only supports 'default'`);
}

/** Containers have no other than ours. */
export function parseRuntime(text: string): string {
  if (text === "" || text === "mydocker") return "mydocker";
  throw new UsageError(`unknown runtime specified ${text}: there is mydocker`);
}

/** As Docker's without a driver that is installed. */
export function refuseGpus(): never {
  throw new UsageError(
    'could not select device driver "" with capabilities: [[gpu]]; --device shows a container a device',
  );
}

/** As Docker's on a file system without project quotas. */
export function refuseStorageOption(text: string): never {
  throw new UsageError(
    splitPair(text).value === undefined
      ? "invalid storage option"
      : "the size of a container's own layer cannot be limited: it is that of the file system",
  );
}
