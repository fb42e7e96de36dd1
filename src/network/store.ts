/** Networks on disk: `networks/<name>.json` in the state root. The name is taken by making the file. */
import { MydockerError, NotFoundError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { whyDamaged } from "../linux/damage.ts";
import { readDirectory } from "../linux/directory.ts";
import { AT_FDCWD, close, fsync, O, open, writeAll } from "../linux/fd.ts";
import { ifExists, link, makeDirectories, readFile, unlinkIfExists } from "../linux/file.ts";
import { syncDirectory } from "../linux/replace_file.ts";
import type { Paths } from "../paths.ts";
import { type Network, parseNetwork } from "./network.ts";

/** What a network may be called; it is also the name of a file. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;

/** Whether a network may have this name. */
export const isNetworkName = (name: string): boolean => NAME.test(name);

const directoryIn = (paths: Paths): string => `${paths.root}/networks`;

const fileOf = (paths: Paths, name: string): string => `${directoryIn(paths)}/${name}.json`;

/** A network by its name. @throws {MydockerError} for one that is damaged */
export function readNetwork(paths: Paths, name: string): Network | undefined {
  if (!isNetworkName(name)) return undefined;
  const path = fileOf(paths, name);
  try {
    const text = ifExists(() => readFile(path));
    return text === undefined ? undefined : parseNetwork(JSON.parse(text), name);
  } catch (cause) {
    throw new MydockerError(`${path} is damaged: ${whyDamaged(cause)}`, {
      exitCode: 125,
      cause,
      hint: "remove that file; containers of that network need it no more to be removed",
    });
  }
}

/** Keeps a new network. @returns false when there is one of that name */
export function addNetwork(paths: Paths, network: Network): boolean {
  const directory = directoryIn(paths);
  makeDirectories(directory);
  const temporary = `${directory}/.tmp`; // one at a time, and the next one finds what is left
  const fd = open(temporary, O.O_WRONLY | O.O_CREAT | O.O_TRUNC, 0o600);
  try {
    writeAll(fd, encodeBytes(JSON.stringify(network)), temporary);
    fsync(fd);
    link(AT_FDCWD, temporary, AT_FDCWD, fileOf(paths, network.name));
    syncDirectory(directory);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  } finally {
    close(fd);
    unlinkIfExists(temporary);
  }
}

/** Forgets a network. */
export function dropNetwork(paths: Paths, name: string): void {
  unlinkIfExists(fileOf(paths, name));
}

/** The names of all networks that are on disk. */
export function networkNames(paths: Paths): string[] {
  return (ifExists(() => readDirectory(directoryIn(paths))) ?? [])
    .filter((file) => file.endsWith(".json") && !file.startsWith("."))
    .map((file) => file.slice(0, -".json".length))
    .sort();
}

/** All networks that can be read. @param damaged gets the errors of the others */
export function allNetworks(paths: Paths, damaged?: (error: MydockerError) => void): Network[] {
  return networkNames(paths).flatMap((name) => {
    try {
      return readNetwork(paths, name) ?? [];
    } catch (error) {
      if (!(error instanceof MydockerError)) throw error;
      damaged?.(error);
      return [];
    }
  });
}

/**
 * The network that a person means: by name, by id, or by the beginning of its id.
 * @throws {MydockerError} when there is none, or more than one
 */
export function resolveNetwork(paths: Paths, reference: string): Network {
  const named = readNetwork(paths, reference);
  if (named !== undefined) return named;
  const matches = /^[0-9a-f]+$/.test(reference)
    ? allNetworks(paths).filter(({ id }) => id.startsWith(reference))
    : [];
  if (matches.length > 1) {
    throw new MydockerError(`network ${reference} is ambiguous (${matches.length} matches found)`);
  }
  if (matches[0] === undefined) throw new NotFoundError(`network ${reference} not found`);
  return matches[0];
}
