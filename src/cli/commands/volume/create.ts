import { UsageError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { print } from "../../output.ts";
import { parseLabel, splitPair } from "../../values/key_values.ts";
import { checkDriver } from "../../values/volume.ts";

/** `mydocker volume create`. */
export const command = defineCommand({
  options: {
    driver: {
      type: "value",
      short: "d",
      value: "driver",
      description: "Driver of the volume: local",
      parse: checkDriver,
      complete: ["local"],
    },
    label: {
      type: "list",
      value: "name=value",
      description: "Set a label on the volume",
      parse: parseLabel,
    },
    name: { type: "value", value: "name", description: "Name of the volume", hidden: true },
    opt: {
      type: "list",
      short: "o",
      value: "name=value",
      description: "What is mounted when it is used, as of mount(8): type=, o=, device=",
      parse: splitPair,
    },
  },
  positionals: { usage: "[VOLUME]", min: 0, max: 1, complete: "volume" },
  rules: {
    later: {
      availability: "",
      group: "",
      "limit-bytes": "",
      "required-bytes": "",
      scope: "",
      secret: "",
      sharing: "",
      "topology-preferred": "",
      "topology-required": "",
      type: "",
    },
  },
  async run({ values, positionals: [given] }) {
    if (values.name !== undefined && given !== undefined)
      throw new UsageError(
        "conflicting options: either specify --name or provide positional arg, not both",
      );
    requireRoot("mydocker volume create");
    const { createVolume } = await import("../../../engine/volume_commands.ts");
    const { statePaths } = await import("../../../paths.ts");
    const name = createVolume(statePaths(), {
      name: given ?? values.name ?? "",
      labels: Object.fromEntries(values.label),
      options: Object.fromEntries(values.opt.map((each) => [each.name, each.value ?? ""])),
    });
    await print(`${name}\n`);
    return 0;
  },
});
