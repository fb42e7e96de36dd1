/** `commit`: what a container changed becomes an image. */
import { MydockerError } from "../errors.ts";
import { type Committed, commitImage, parseNewName } from "../images/commit.ts";
import { LayerSource } from "../images/layer_source.ts";
import { openImageStore } from "../images/store.ts";
import type { Found } from "../images/tree_reader.ts";
import { close, O, open } from "../linux/fd.ts";
import { quote } from "../quote.ts";
import { committedConfig } from "./committed_config.ts";
import { thawIfFrozen } from "./container_cgroup.ts";
import { recordContainerEvent, recordEvent } from "./events.ts";
import { Guardian } from "./guardian.ts";
import { type FoundContainer, RunningProcess, recordOf } from "./lifecycle_process.ts";
import { OwnLayer } from "./own_layer.ts";

/** How an image is made of a container. */
export interface CommitOptions {
  /** what it is called */
  readonly name?: string;
  readonly author?: string;
  readonly message?: string;
  /** Dockerfile instructions */
  readonly changes: readonly string[];
  /** Keep the container from running meanwhile. */
  readonly pause: boolean;
  /** is told of what the image lacks */
  readonly warn: (message: string) => void;
}

/**
 * Makes the image.
 * @throws {MydockerError} when the container has no image, or that was removed
 */
export async function commitContainer(
  found: FoundContainer,
  options: CommitOptions,
): Promise<Committed> {
  const record = recordOf(found);
  const { imageId } = record;
  const store = openImageStore(found.paths.root);
  const image = imageId === undefined ? undefined : store.readConfig(imageId);
  if (imageId === undefined) {
    throw new MydockerError(`the container has no image, but ${quote(record.image)} for a root`, {
      hint: "export it, and import what comes of it",
    });
  }
  if (image === undefined)
    throw new MydockerError(`the image ${record.image} of this container was removed (${imageId})`);
  const config = committedConfig(image.config ?? {}, record, options.changes);
  const reference = options.name === undefined ? undefined : parseNewName(options.name);
  using work = new DisposableStack();
  const thaw = options.pause ? pause(found, work) : () => undefined;
  using own = new OwnLayer(found, record);
  const upper = open(own.path, O.O_PATH | O.O_DIRECTORY);
  work.defer(() => close(upper));
  const select = ({ path, stat }: Found) => !own.isMountPoint(path, stat);
  const layer = new LayerSource(upper, select, options.warn, thaw);
  const committed = await commitImage(store, {
    base: imageId,
    layer,
    config: config.image,
    createdBy: (config.container.Cmd ?? []).join(" "),
    ...(options.author === undefined ? {} : { author: options.author }),
    ...(options.message === undefined ? {} : { comment: options.message }),
    ...(reference === undefined ? {} : { reference }),
  });
  const imageRef = options.name === undefined ? {} : { imageRef: options.name };
  recordContainerEvent(found.paths, record, "commit", {
    comment: options.message ?? "",
    imageID: committed.id,
    ...imageRef,
  });
  if (options.name !== undefined)
    recordEvent(found.paths, "image", "tag", committed.id, { name: options.name });
  return committed;
}

/**
 * Keeps a container that runs from running until `work` is over, or what is returned is called. Should
 * we be killed, a guardian lets it go on.
 */
function pause(found: FoundContainer, work: DisposableStack): () => void {
  using process = RunningProcess.of(found);
  if (process === undefined) return () => undefined;
  const { cgroup } = process;
  if (cgroup.frozen()) return () => undefined; // somebody has paused it, and may want it to stay so
  const guardian = Guardian.start(() => thawIfFrozen(cgroup));
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    thawIfFrozen(cgroup);
    guardian?.dismiss();
  };
  work.defer(end);
  cgroup.freeze();
  return end;
}
