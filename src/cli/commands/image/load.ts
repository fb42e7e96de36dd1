import { defineCommand, requireRoot } from "../../command.ts";
import { print } from "../../output.ts";

/** `mydocker load`. */
export const command = defineCommand({
  options: {
    input: {
      type: "value",
      short: "i",
      value: "file",
      description: "Read from a file, or an OCI image layout's directory, instead of stdin",
      complete: "file",
    },
    quiet: { type: "boolean", short: "q", description: "Show no progress" },
  },
  positionals: { usage: "", min: 0, max: 0 },
  rules: { later: { platform: "" } },
  async run({ values }) {
    requireRoot("mydocker load");
    const { loadImages } = await import("../../../images/load.ts");
    const { openImageStore } = await import("../../../images/store.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { recover } = await import("../../../engine/recovery.ts");
    recover(statePaths());
    const { log } = await import("../../../log.ts");
    const { openArchive } = await import("../../archive.ts");
    using archive = openArchive(values.input, {
      terminal: "redirect a file to it, or name one: mydocker load -i FILE",
    });
    const { images, warnings } = await loadImages(openImageStore(statePaths().root), archive.fd);
    const { recordEvent } = await import("../../../engine/events.ts");
    for (const { id } of images) recordEvent(statePaths(), "image", "load", id, { name: id });
    for (const warning of warnings) log.warn(warning);
    const lines = images.flatMap(({ id, names, taken }) => [
      ...taken.map(
        (old) =>
          `The image ${old.name} already exists, renaming the old one with ID ${old.id} to empty string`,
      ),
      ...(names.length === 0
        ? [`Loaded image ID: ${id}`]
        : names.map((name) => `Loaded image: ${name}`)),
    ]);
    await print(lines.map((line) => `${line}\n`).join(""));
  },
});
