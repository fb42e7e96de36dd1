/** Calls that are made with runc, too: what they give has to be the same. */

import { expect } from "bun:test";
import type { Result } from "./cli.ts";
import type { RuntimeName } from "./daemon.ts";

/** What holds with mydocker, which is also what holds with runc. */
export async function withBoth<T>(observe: (runtime: RuntimeName) => Promise<T>): Promise<T> {
  const expected = await observe("runc");
  const found = await observe("mydocker");
  expect(found).toEqual(expected);
  return found;
}

/** Of errors what clients look for, and people. */
const WORDS =
  /OCI runtime (?:create|start|exec) failed|executable file not found in|no such file or directory|permission denied|container not running|is not running|not found|no running task|must be stopped|paused|No such container/gi;

/**
 * How a call ended: exit code, output, and the words of its error that matter. `docker exec` writes
 * that to standard output.
 */
export function outcome({ exitCode, out, err }: Result) {
  const isError = out.startsWith("OCI runtime");
  const words = `${isError ? out : ""}${err}`.match(WORDS);
  return { exitCode, out: isError ? "" : out, words: [...new Set(words)].sort() };
}
