/** `push`, as a command does it: one tag, or all of a repository. */
import { LayerWriter } from "../images/layer_writer.ts";
import { registryOf } from "../images/pull.ts";
import { namesToPush, pushImage } from "../images/push.ts";
import { familiarName, familiarReference, fullName, type Reference } from "../images/reference.ts";
import type { RegistryOptions } from "../images/registry.ts";
import { openImageStore } from "../images/store.ts";
import type { TransferListener } from "../images/transfer.ts";
import { statePaths } from "../paths.ts";
import { recordEvent } from "./events.ts";
import { recover } from "./recovery.ts";

/** How a push is to be done. */
export interface PushOptions extends RegistryOptions {
  /** Every tag of the repository. */
  readonly all: boolean;
  readonly listener: TransferListener;
}

/** Brings an image, or all of a repository, to its registry. @throws {MydockerError} */
export async function pushReference(
  reference: Reference,
  { all, listener, ...how }: PushOptions,
): Promise<void> {
  const paths = statePaths();
  recover(paths);
  const store = openImageStore(paths.root, LayerWriter);
  store.resolve(familiarReference(reference)); // the image inside the executable may have to come out
  const message = (text: string) => listener({ kind: "message", text });
  message(`The push refers to repository [${fullName(reference)}]`);
  const registry = registryOf(reference, how);
  for (const name of namesToPush(store, reference, all)) {
    const { digest, size } = await pushImage(store, registry, name, listener);
    recordEvent(paths, "image", "push", `${familiarName(reference)}:${name.reference.tag}`, {
      name: familiarName(reference),
    });
    message(`${name.reference.tag}: digest: ${digest} size: ${size}`);
  }
}
