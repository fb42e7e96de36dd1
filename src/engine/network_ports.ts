/** The published ports of a container: `port`. */
import { openPorts, type PublishedPort, readNetworks } from "../network/state.ts";
import type { Paths } from "../paths.ts";
import { findContainer } from "./lifecycle_process.ts";

/** None of one that does not run. @throws {MydockerError} when there is no such container */
export function containerPorts(paths: Paths, reference: string): readonly PublishedPort[] {
  const { id } = findContainer(paths, reference);
  return openPorts(readNetworks(paths, id));
}
