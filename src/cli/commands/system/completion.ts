import { MydockerError } from "../../../errors.ts";
import { defineCommand, seeHelp } from "../../command.ts";
import { print } from "../../output.ts";

const SHELLS = {
  bash: () => import("../../completion/bash.ts"),
  zsh: () => import("../../completion/zsh.ts"),
  fish: () => import("../../completion/fish.ts"),
} as const;

/** `mydocker completion`. */
export const command = defineCommand({
  options: {},
  positionals: { usage: "bash|zsh|fish", min: 1, max: 1, complete: Object.keys(SHELLS) },
  async run({ positionals: [shell] }, tree) {
    const load = Object.entries(SHELLS).find(([name]) => name === shell)?.[1];
    if (load === undefined)
      throw new MydockerError(`no completion for ${shell}: there is bash, zsh and fish`, {
        hint: seeHelp("mydocker completion"),
      });
    const { completionScript } = await load();
    const { completionModel } = await import("../../completion/model.ts");
    await print(completionScript(await completionModel(tree)));
  },
});
