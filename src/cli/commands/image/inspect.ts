import { defineCommand, requireRoot } from "../../command.ts";
import { FORMAT_OPTION, inspectEach } from "../../inspect_each.ts";

/** `mydocker image inspect`. */
export const command = defineCommand({
  options: {
    format: FORMAT_OPTION,
  },
  positionals: {
    usage: "IMAGE [IMAGE...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "image",
  },
  rules: { later: { platform: "" } },
  async run({ values, positionals }) {
    requireRoot("mydocker image inspect");
    const { findImage } = await import("../../found_image.ts");
    const { inspectImage } = await import("../../../images/inspect.ts");
    return await inspectEach(positionals, values.format, async (name) => {
      const { store, image } = await findImage(name);
      return inspectImage(store, image);
    });
  },
});
