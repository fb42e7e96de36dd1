/** `pull`, as a command does it: one image, or all of a repository. */
import type { Pulled, PullOptions } from "../images/pull.ts";
import { pullImage, pullSummary, registryOf } from "../images/pull.ts";
import { familiarName, familiarReference, fullName, type Reference } from "../images/reference.ts";
import { openImageStore } from "../images/store.ts";
import { statePaths } from "../paths.ts";
import { recordEvent } from "./events.ts";
import { recover } from "./recovery.ts";

/** What `pull` says in the end. */
export interface PullResult {
  /** The last one is the whole name of what was pulled. */
  readonly lines: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Brings an image here, or with `all` every one of a repository.
 * @throws {MydockerError}
 */
export async function pullReference(
  reference: Reference,
  options: PullOptions & { readonly all?: boolean },
): Promise<PullResult> {
  const paths = statePaths();
  recover(paths);
  const store = openImageStore(paths.root);
  const registry = registryOf(reference, options);
  const note = (pulled: Reference) =>
    recordEvent(paths, "image", "pull", familiarReference(pulled), { name: familiarName(pulled) });
  if (options.all !== true) {
    const pulled = await pullImage(store, registry, reference, options);
    note(reference);
    return { lines: pullSummary(reference, pulled), warnings: pulled.warnings };
  }
  const { listTags } = await import("../images/tags.ts");
  const results: Pulled[] = [];
  for (const tag of await listTags(registry, reference)) {
    const pulled = await pullImage(store, registry, { ...reference, tag }, options);
    note({ ...reference, tag });
    options.listener?.({ kind: "message", text: `Digest: ${pulled.digest}` });
    results.push(pulled);
  }
  const status = results.every(({ upToDate }) => upToDate)
    ? "Image is up to date for"
    : "Downloaded newer image for";
  return {
    lines: [`Status: ${status} ${familiarName(reference)}`, fullName(reference)],
    warnings: results.flatMap(({ warnings }) => warnings),
  };
}
