import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { formatObject } from "../../format.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";
import { volumeShape } from "../../volume_rows.ts";

/** `mydocker volume inspect`. */
export const command = defineCommand({
  options: {
    format: {
      type: "value",
      short: "f",
      value: "format",
      description: "json, or a Go template",
      complete: ["json"],
    },
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
    const found: object[] = [];
    const exitCode = await forEachArgument(
      positionals,
      (name) => {
        const { volume, mountpoint } = inspectVolume(paths, name);
        found.push(volumeShape(volume, mountpoint));
      },
      reportError,
    );
    const { format } = values;
    if (format === undefined) await print(`${JSON.stringify(found, null, 4)}\n`);
    else await print(found.map((each) => formatObject(format, each)).join(""));
    return exitCode;
  },
});
