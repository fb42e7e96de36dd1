import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker rmi`. */
export const command = defineCommand({
  options: {
    force: {
      type: "boolean",
      short: "f",
      description: "Also when it has several names, or containers use it",
    },
    "no-prune": {
      type: "boolean",
      description: "As without: there are no untagged parents of images here",
    },
  },
  positionals: {
    usage: "IMAGE [IMAGE...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "image",
  },
  rules: { later: { platform: "" } },
  async run({ values, positionals }) {
    requireRoot("mydocker rmi");
    const { isUp, listContainers } = await import("../../../engine/list.ts");
    const { removeImage } = await import("../../../images/remove.ts");
    const { openImageStore } = await import("../../../images/store.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    const store = openImageStore(paths.root);
    const usedBy = (imageId: string) =>
      listContainers(paths)
        .filter(({ record }) => record.imageId === imageId)
        .map(({ record, state }) => ({ id: record.id, running: isUp(state) }));
    const { releaseKeptImages } = await import("../../../engine/kept_images.ts");
    releaseKeptImages(paths);
    const { recordEvent } = await import("../../../engine/events.ts");
    return await forEachArgument(
      positionals,
      async (image) => {
        const removed = removeImage(store, image, { force: values.force, usedBy });
        for (const { action, imageId: id } of removed) {
          const said = action === "Untagged" ? "untag" : "delete";
          if (id !== undefined) recordEvent(paths, "image", said, id, { name: id });
        }
        await print(removed.map(({ action, what }) => `${action}: ${what}\n`).join(""));
      },
      reportError,
      { mayBeMissing: values.force },
    );
  },
});
