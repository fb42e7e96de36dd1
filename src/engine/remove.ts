/** `rm`: containers that have ended, or by force any. */

import { readLayout } from "../cgroups/layout.ts";
import { openCgroup } from "../cgroups/manager.ts";
import { MydockerError } from "../errors.ts";
import { killProcess } from "../linux/process_identity.ts";
import type { Paths } from "../paths.ts";
import { containerCgroup } from "./container_cgroup.ts";
import { type ContainerRecord, ContainerStore } from "./container_store.ts";
import { removeEtcFiles } from "./etc_files.ts";
import { stateOf } from "./list.ts";
import { claim, type Ownership, readOwner } from "./ownership.ts";
import { recover } from "./recovery.ts";

/** How long the command that runs a container may take to notice that it has ended, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Removes a container by name, id or prefix.
 * @param force kills it first if it runs
 * @throws {MydockerError} when there is none, or it runs and is not to be killed
 */
export function removeContainer(paths: Paths, reference: string, force: boolean): void {
  recover(paths);
  const store = new ContainerStore(paths);
  const container = store.resolve(reference);
  const { id } = container;
  const owner = readOwner(paths, id);
  const state = stateOf(owner, undefined);
  if (state.status === "running") {
    if (!force) {
      throw new MydockerError(
        `cannot remove container "/${container.name}": container is running`,
        { hint: "stop it first, or use `rm -f`" },
      );
    }
    if (owner?.process !== undefined) killProcess(owner.process, PATIENCE);
  }
  const ownership = takeOver(paths, container, force);
  if (ownership === undefined) {
    // Whoever ran it has removed it, as asked to with --rm; or another `rm` was there before us.
    if (owner?.process !== undefined && owner.remove) return;
    throw new MydockerError(`No such container: ${reference}`);
  }
  openCgroup(readLayout(), containerCgroup(id)).remove();
  removeEtcFiles(paths, id);
  store.remove(id);
  ownership.release();
}

/** Becomes the owner as soon as the present one lets go. @returns undefined when the container is gone by then */
function takeOver(paths: Paths, { id }: ContainerRecord, force: boolean): Ownership | undefined {
  const store = new ContainerStore(paths);
  const record = { id, remove: true, cgroup: containerCgroup(id) };
  for (const deadline = Date.now() + PATIENCE; ; Bun.sleepSync(5)) {
    try {
      const ownership = claim(paths, record);
      if (store.read(id) !== undefined) return ownership;
      ownership.release();
      return undefined;
    } catch (error) {
      if (!(error instanceof MydockerError) || Date.now() >= deadline) throw error;
      // It may have been starting when we looked first.
      const running = force ? readOwner(paths, id)?.process : undefined;
      if (running !== undefined) killProcess(running, PATIENCE);
    }
  }
}
