/** `export`: a container's root file system as a tar archive, without what is mounted in it. */
import { TarWriter } from "../images/tar_writer.ts";
import { finishSteps, TreeReader } from "../images/tree_reader.ts";
import { openContainerRoot } from "./container_files.ts";
import type { FoundContainer } from "./lifecycle_process.ts";

/**
 * Writes the archive.
 * @param write takes its next bytes
 * @param warn is told of what is left out
 */
export function exportContainer(
  found: FoundContainer,
  write: (bytes: Uint8Array) => void,
  warn: (message: string) => void,
): void {
  using files = openContainerRoot(found);
  const writer = new TarWriter(write);
  const reader = new TreeReader(writer, {
    change: (entry) => files.ids.toContainer(entry),
    warn,
  });
  finishSteps(reader.readDirectory(files.root));
  writer.finish();
}
