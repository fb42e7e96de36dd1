import { defineCommand, requireRoot } from "../../command.ts";
import { FORMAT_OPTION, inspectEach } from "../../inspect_each.ts";
import { volumeShape } from "../../volume_rows.ts";

/** `mydocker volume inspect`. */
export const command = defineCommand({
  options: {
    format: FORMAT_OPTION,
  },
  positionals: {
    usage: "VOLUME [VOLUME...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "volume",
  },
  async run({ values, positionals }) {
    requireRoot("mydocker volume inspect");
    const { inspectVolume } = await import("../../../engine/volume_commands.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    return await inspectEach(positionals, values.format, (name) => {
      const { volume, mountpoint } = inspectVolume(paths, name);
      return volumeShape(volume, mountpoint);
    });
  },
});
