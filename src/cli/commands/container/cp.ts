import { MydockerError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { print } from "../../output.ts";

/** `mydocker cp`. */
export const command = defineCommand({
  options: {
    archive: {
      type: "boolean",
      short: "a",
      description: "Keep the owners of what is copied out of a container",
    },
    "follow-link": {
      type: "boolean",
      short: "L",
      description: "Copy what a symbolic link SRC leads to",
    },
    quiet: { type: "boolean", short: "q", description: "Do not say what was copied" },
  },
  positionals: {
    usage: "CONTAINER:SRC DEST|- | SRC|- CONTAINER:DEST",
    min: 2,
    max: 2,
    complete: "file",
  },
  async run({ values, positionals: [source = "", target = ""] }) {
    if (source === "") throw new MydockerError("source can not be empty");
    if (target === "") throw new MydockerError("destination can not be empty");
    const [from, to] = [splitArgument(source), splitArgument(target)];
    if (from.container !== undefined && to.container !== undefined)
      throw new MydockerError("copying between containers is not supported");
    const container = from.container ?? to.container;
    if (container === undefined)
      throw new MydockerError("must specify at least one container source");
    requireRoot("mydocker cp");
    const { copyFromContainer, copyToContainer } = await import("../../../engine/copy.ts");
    const { findContainer, recordOf } = await import("../../../engine/lifecycle_process.ts");
    const { log } = await import("../../../log.ts");
    const { statePaths } = await import("../../../paths.ts");
    const found = findContainer(statePaths(), container);
    const request = {
      source: from.path,
      target: to.path,
      followLink: values["follow-link"],
      archive: values.archive,
      warn: (message: string) => log.warn(message),
    };
    const copy = from.container === undefined ? copyToContainer : copyFromContainer;
    const { size } = await copy(found, container, request);
    const { recordContainerEvent } = await import("../../../engine/events.ts");
    const action = from.container === undefined ? "extract-to-dir" : "archive-path";
    const { recordVolumeUse } = await import("../../../engine/volume_events.ts");
    const record = recordOf(found);
    recordVolumeUse(found.paths, record, "mount");
    recordContainerEvent(found.paths, record, action);
    recordVolumeUse(found.paths, record, "unmount");
    const { isTerminal } = await import("../../../linux/tty.ts");
    if (values.quiet || to.path === "-" || !isTerminal(1)) return 0;
    const { humanSize } = await import("../../human.ts");
    await print(`Successfully copied ${humanSize(size)} to ${target}\n`);
    return 0;
  },
});

/** `CONTAINER:PATH`, or a path of this machine: one with a colon has a slash or a dot before it. */
function splitArgument(argument: string): { readonly container?: string; readonly path: string } {
  const colon = argument.indexOf(":");
  if (argument.startsWith("/") || argument.startsWith(".") || colon === -1)
    return { path: argument };
  return { container: argument.slice(0, colon), path: argument.slice(colon + 1) };
}
