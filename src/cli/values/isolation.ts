/** Namespace modes, as far as this version has them. */
import type { RunOptions } from "../../engine/run_options.ts";
import { UsageError } from "../../errors.ts";
import { quote } from "../../quote.ts";

/** `--pid`. */
export function parsePid(text: string): RunOptions["pid"] {
  return parseMode(text, ["private", "host"], "PID");
}

/** `--ipc`. */
export function parseIpc(text: string): RunOptions["ipc"] {
  return parseMode(text, ["private", "host"], "IPC");
}

/** `--uts`. */
export function parseUts(text: string): RunOptions["uts"] {
  return parseMode(text, ["private", "host"], "UTS");
}

/** `--cgroupns`; empty: what the machine's version of cgroups has. */
export function parseCgroupns(text: string): RunOptions["cgroupns"] {
  return text === ""
    ? undefined
    : parseMode<"private" | "host">(text, ["private", "host"], "CGROUP");
}

/** `--userns`: Docker's `host`, and Podman's `private` and `auto`, which are the same here. */
export function parseUserns(text: string): RunOptions["userns"] {
  if (text === "") return "host";
  if (/^(auto:.+|keep-id\b.*|nomap|ns:.+)$/.test(text))
    throw new UsageError(`USER mode ${quote(text)} is not supported: use private or host`);
  return text === "auto"
    ? "private"
    : parseMode<"private" | "host">(text, ["private", "host"], "USER");
}

/** Modes of Docker's that need another container, or a way to be joined by one. */
const SHARED_MODES = /^(container:.+|shareable|none)$/;

function parseMode<T extends string>(text: string, modes: readonly T[], kind: string): T {
  const mode = modes.find((name) => name === (text === "" ? "private" : text));
  if (mode !== undefined) return mode;
  if (SHARED_MODES.test(text))
    throw new UsageError(`${kind} mode ${quote(text)} is not supported by this version yet`);
  throw new UsageError(`invalid ${kind} mode`);
}
