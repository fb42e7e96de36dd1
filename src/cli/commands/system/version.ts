import { defineCommand } from "../../command.ts";
import { print } from "../../output.ts";
import { versionInfo, versionText } from "../../version_text.ts";

/** `mydocker version`. */
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
    if (values.format === undefined) return void (await print(versionText()));
    const { checkFormat, formatObject } = await import("../../format.ts");
    checkFormat(values.format);
    return void (await print(formatObject(values.format, { Client: versionInfo() })));
  },
});
