import { statePaths } from "../../../paths.ts";
import { defineCommand } from "../../command.ts";
import { print } from "../../output.ts";
import { unitText } from "../../unit_text.ts";

/** `mydocker system unit`. */
export const command = defineCommand({
  options: {},
  positionals: { usage: "", min: 0, max: 0 },
  run: async () => {
    await print(unitText(process.execPath, statePaths(), statePaths({})));
    return 0;
  },
});
