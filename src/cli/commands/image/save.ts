import { MydockerError, UsageError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";

const FORMATS = ["docker-archive", "oci-archive", "oci-dir"] as const;

function parseFormat(text: string): (typeof FORMATS)[number] {
  const format = FORMATS.find((known) => known === text);
  if (format === undefined)
    throw new UsageError(`unknown format ${JSON.stringify(text)}: it is ${FORMATS.join(", ")}`);
  return format;
}

/** `mydocker save`. */
export const command = defineCommand({
  options: {
    format: {
      type: "value",
      value: "format",
      description:
        "docker-archive (the default; an OCI image layout as well), oci-archive, or oci-dir, a directory",
      complete: FORMATS,
      parse: parseFormat,
    },
    output: {
      type: "value",
      short: "o",
      value: "file",
      description: "Write to a file, instead of stdout",
      complete: "file",
    },
  },
  positionals: {
    usage: "IMAGE [IMAGE...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "image",
  },
  rules: { later: { platform: "" } },
  async run({ values: { format = "docker-archive", output }, positionals }) {
    requireRoot("mydocker save");
    const { DirectoryTarget, TarTarget } = await import("../../../images/archive_target.ts");
    const { LayerWriter } = await import("../../../images/layer_writer.ts");
    const { saveImages } = await import("../../../images/save.ts");
    const { openImageStore } = await import("../../../images/store.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { recover } = await import("../../../engine/recovery.ts");
    recover(statePaths());
    const store = openImageStore(statePaths().root, LayerWriter);
    const { recordEvent } = await import("../../../engine/events.ts");
    const note = (ids: readonly string[]) => {
      for (const id of ids) recordEvent(statePaths(), "image", "save", id, { name: id });
    };
    const options = { forDocker: format === "docker-archive" };
    if (format === "oci-dir") {
      if (output === undefined)
        throw new MydockerError("a directory cannot be written to stdout", {
          hint: "name it: -o DIRECTORY",
        });
      using directory = new DirectoryTarget(output);
      note(await saveImages(store, positionals, directory, options));
      return;
    }
    const { writeAll } = await import("../../../linux/fd.ts");
    const { openOutput } = await import("../../output_file.ts");
    using file = openOutput(output, "name a file with -o, or redirect it");
    using tar = new TarTarget((bytes) => writeAll(file.fd, bytes, file.path));
    const saved = await saveImages(store, positionals, tar, options);
    file.commit();
    note(saved);
  },
});
