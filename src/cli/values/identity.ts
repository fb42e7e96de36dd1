/** What a container is called and where it starts: names, host names, working directory. */
import { UsageError } from "../../errors.ts";
import { cleanPath } from "./path.ts";

/** `--name`, in Docker's words. */
export function parseContainerName(text: string): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text))
    throw new UsageError(
      `Invalid container name (${text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  return text;
}

/** `--hostname` and `--domainname`: at most 64 bytes (sethostname(2)). */
export function parseHostname(text: string): string {
  if (text.length > 64 || !/^[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?$/.test(text))
    throw new UsageError(`invalid hostname format: ${text}`);
  return text;
}

/** `-w`. */
export function parseWorkdir(text: string): string {
  if (!text.startsWith("/"))
    throw new UsageError(
      `the working directory '${text}' is invalid, it needs to be an absolute path`,
    );
  return cleanPath(text);
}
