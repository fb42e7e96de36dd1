import { defineCommand, requireRoot } from "../../command.ts";

/** `mydocker tag`. */
export const command = defineCommand({
  options: {},
  positionals: {
    usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    min: 2,
    max: 2,
    complete: "image",
  },
  async run({ positionals: [source = "", name = ""] }) {
    requireRoot("mydocker tag");
    const { tagImage } = await import("../../../images/listing.ts");
    const { familiarReference } = await import("../../../images/reference.ts");
    const { LayerWriter } = await import("../../../images/layer_writer.ts");
    const { openImageStore } = await import("../../../images/store.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { recover } = await import("../../../engine/recovery.ts");
    recover(statePaths());
    const store = openImageStore(statePaths().root, LayerWriter);
    const tagged = familiarReference(tagImage(store, source, name));
    const { recordEvent } = await import("../../../engine/events.ts");
    const id = store.resolve(tagged)?.id;
    if (id !== undefined) recordEvent(statePaths(), "image", "tag", id, { name: tagged });
    return 0;
  },
});
