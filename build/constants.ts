import { join } from "node:path";
import { tryOutput } from "./command.ts";

const ROOT = join(import.meta.dir, "..");

/**
 * What the program knows of its build, by the names it is known under in the sources. Nothing here
 * may depend on when or where it was built: two builds of one commit are the same.
 */
export async function buildConstants(): Promise<Record<string, string>> {
  const { version } = await Bun.file(join(ROOT, "package.json")).json();
  return {
    "process.env.MYDOCKER_VERSION": version,
    "process.env.MYDOCKER_COMMIT": commit(),
    "process.env.MYDOCKER_BUILD_DATE": buildDate(),
  };
}

function commit(): string {
  const hash = git("rev-parse", "HEAD");
  if (hash === undefined) return "unknown";
  return git("status", "--porcelain") === "" ? hash : `${hash}-dirty`;
}

/** The commit's date in ISO 8601, or that of https://reproducible-builds.org/specs/source-date-epoch/. */
function buildDate(): string {
  const epoch = process.env["SOURCE_DATE_EPOCH"] ?? git("log", "-1", "--format=%ct");
  if (epoch === undefined || !/^\d+$/.test(epoch)) return "unknown";
  return new Date(Number(epoch) * 1000).toISOString().replace(".000Z", "Z");
}

/** The folder may belong to another user, for instance under sudo. */
function git(...args: readonly string[]): string | undefined {
  return tryOutput(["git", "-c", "safe.directory=*", "-C", ROOT, ...args])?.trim();
}
