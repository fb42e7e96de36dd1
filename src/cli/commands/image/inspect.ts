import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { formatObject } from "../../format.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker image inspect`. */
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
    const found: object[] = [];
    const exitCode = await forEachArgument(
      positionals,
      async (name) => {
        const { store, image } = await findImage(name);
        found.push(inspectImage(store, image));
      },
      reportError,
    );
    const { format } = values;
    if (format === undefined) await print(`${JSON.stringify(found, null, 4)}\n`);
    else await print(found.map((each) => formatObject(format, each)).join(""));
    return exitCode;
  },
});
