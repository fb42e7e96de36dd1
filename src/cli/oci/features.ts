/** `features`: what this runtime can do, as JSON (features.md of the specification). */
import { ociFeatures } from "../../runtime/features.ts";
import { print } from "../output.ts";
import { defineOciCommand } from "./command.ts";

/** As runc's. */
export const command = defineOciCommand({
  description: "Show what this runtime can do",
  options: {},
  usage: "",
  min: 0,
  max: 0,
  async run() {
    await print(`${JSON.stringify(ociFeatures(), null, 2)}\n`);
    return undefined;
  },
});
