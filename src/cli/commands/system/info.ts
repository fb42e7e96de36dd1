import { defineCommand, requireRoot } from "../../command.ts";
import { checkFormat, formatObject } from "../../format.ts";
import { infoText } from "../../info_text.ts";
import { print } from "../../output.ts";
import { versionInfo } from "../../version_text.ts";

/** `mydocker info`. */
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
  positionals: { usage: "", min: 0, max: 0 },
  async run({ values }) {
    requireRoot("mydocker info");
    const { systemInfo } = await import("../../../engine/info.ts");
    const { statePaths } = await import("../../../paths.ts");
    checkFormat(values.format);
    const { Version, Arch } = versionInfo();
    const info = { ...systemInfo(statePaths()), ServerVersion: Version, Architecture: Arch };
    await print(values.format === undefined ? infoText(info) : formatObject(values.format, info));
  },
});
