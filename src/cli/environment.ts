/** The process's own environment, as bytes: `process.env` loses what is not UTF-8. */
import { readFile } from "../linux/file.ts";

/** Looks a variable up as getenv(3) does: the first of that name. */
export function readEnvironment(): (name: string) => string | undefined {
  let entries: readonly string[] | undefined;
  return (name) => {
    entries ??= readFile("/proc/self/environ").split("\0");
    return entries.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
  };
}
