/** `--cpuset-cpus` and `--cpuset-mems`: the list format of cpuset(7). */
import { UsageError } from "../../errors.ts";

/** `0-2,4`: each range from low to high. @returns the text, unchanged */
export function parseCpuList(text: string): string {
  const valid = text.split(",").every((range) => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range);
    return match !== null && Number(match[1]) <= Number(match[2] ?? match[1]);
  });
  if (!valid) throw new UsageError(`invalid list of numbers: use a form such as 0-2,4`);
  return text;
}
