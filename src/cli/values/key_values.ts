/** `-e`, `-l`, `--env-file`, `--label-file`, `--sysctl`: names and values. */
import { UsageError } from "../../errors.ts";

/** Splits at the first `=`; `value` is absent when there is none. */
export function splitPair(text: string): { name: string; value?: string } {
  const sign = text.indexOf("=");
  return sign < 0 ? { name: text } : { name: text.slice(0, sign), value: text.slice(sign + 1) };
}

/** `-e NAME=value` or `-e NAME`, as given. */
export function parseEnv(text: string): string {
  if (text === "" || text.startsWith("="))
    throw new UsageError(`invalid environment variable: ${text}`);
  return text;
}

/** `-l name=value`; without a value it is empty. */
export function parseLabel(text: string): readonly [string, string] {
  const { name, value = "" } = splitPair(text);
  if (name === "") throw new UsageError(`invalid label '${text}': empty name`);
  return [name, value];
}

/** Sysctls that belong to a container's own namespaces (Docker's opts.ValidateSysctl). */
const NAMESPACED_SYSCTLS = new Set([
  "kernel.domainname",
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/** `--sysctl net.ipv4.ip_forward=1`. */
export function parseSysctl(text: string): readonly [string, string] {
  const { name, value } = splitPair(text);
  const allowed =
    NAMESPACED_SYSCTLS.has(name) || name.startsWith("net.") || name.startsWith("fs.mqueue.");
  // The name becomes a path below /proc/sys.
  if (value === undefined || !allowed || !/^[\w./-]+$/.test(name))
    throw new UsageError(`sysctl '${text}' is not allowed`);
  return [name, value];
}

/**
 * The lines of an env file: `NAME=value` or `NAME` alone, in order. Docker's format: `#` at the
 * start is a comment, nothing is quoted or expanded, the value is what stands after the sign.
 * @param file its name, for errors
 */
export function parseKeyValueFile(text: string, file: string): string[] {
  const entries: string[] = [];
  const lines = text.replace(/^\uFEFF/, "").split("\n");
  lines.forEach((raw, index) => {
    const line = raw.replace(/\r$/, "").trimStart();
    if (line === "" || line.startsWith("#")) return;
    const { name } = splitPair(line);
    const where = `${file}:${index + 1}`;
    if (name === "") throw new UsageError(`${where}: no variable name on line '${line}'`);
    if (/\s/.test(name)) throw new UsageError(`${where}: variable '${name}' contains whitespaces`);
    entries.push(line);
  });
  return entries;
}
