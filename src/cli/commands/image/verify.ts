import { MydockerError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker image verify`. */
export const command = defineCommand({
  options: {
    quiet: { type: "boolean", short: "q", description: "Say nothing of images that are whole" },
  },
  positionals: {
    usage: "[IMAGE...]",
    min: 0,
    max: Number.POSITIVE_INFINITY,
    complete: "image",
  },
  async run({ values: { quiet }, positionals }) {
    requireRoot("mydocker image verify");
    const { verifyImages } = await import("../../../engine/verify.ts");
    const { statePaths } = await import("../../../paths.ts");
    let exitCode = 0;
    for await (const { id, names, problems, hint } of verifyImages(statePaths(), positionals)) {
      const what = [id, ...names].join(" ");
      if (problems.length === 0 && !quiet) await print(`${what}: whole\n`);
      if (problems.length === 0) continue;
      exitCode = 1;
      await print(`${what}: damaged\n`);
      for (const [index, problem] of problems.entries()) {
        const isLast = index === problems.length - 1;
        const message = `the image ${id} is damaged: ${problem}`;
        reportError(new MydockerError(message, isLast ? { hint } : {}));
      }
    }
    return exitCode;
  },
});
