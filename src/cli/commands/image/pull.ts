import { MydockerError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { print } from "../../output.ts";

/** `mydocker pull`. */
export const command = defineCommand({
  options: {
    "all-tags": {
      type: "boolean",
      short: "a",
      description: "Download every image of the repository",
    },
    platform: {
      type: "value",
      unsetByEmpty: true,
      value: "os/arch[/variant]",
      description: "Which of several images, this machine's by default",
    },
    quiet: { type: "boolean", short: "q", description: "Show only the image's name at the end" },
    "tls-verify": {
      type: "boolean",
      default: true,
      description: "Check the registry's certificate, and do not do without one; on by default",
    },
    "disable-content-trust": { type: "boolean", default: true, description: "", hidden: true },
  },
  positionals: { usage: "NAME[:TAG|@DIGEST]", min: 1, max: 1, complete: "image" },
  async run({ values, positionals: [name = ""] }) {
    requireRoot("mydocker pull");
    const { parseReference, withDefaultTag } = await import("../../../images/reference.ts");
    const { parsePlatform } = await import("../../../images/platform.ts");
    const parsed = parseReference(name);
    const all = values["all-tags"];
    if (all && (parsed.tag ?? parsed.digest) !== undefined)
      throw new MydockerError("tag can't be used with --all-tags/-a");
    const reference = withDefaultTag(parsed);
    if (!all && !values.quiet && parsed.tag === undefined && parsed.digest === undefined)
      await print(`Using default tag: ${reference.tag}\n`);
    const { pullReference } = await import("../../../engine/pull.ts");
    const { TransferProgress } = await import("../../transfer_progress.ts");
    const progress = values.quiet ? undefined : new TransferProgress(1);
    const options = defined({
      platform: values.platform === undefined ? undefined : parsePlatform(values.platform),
      tlsVerify: values["tls-verify"],
      listener: progress?.show,
    });
    const { log } = await import("../../../log.ts");
    const result = await pullReference(all ? parsed : reference, { ...options, all });
    progress?.finish();
    for (const warning of result.warnings) log.warn(warning);
    const lines = values.quiet ? result.lines.slice(-1) : result.lines;
    await print(lines.map((line) => `${line}\n`).join(""));
  },
});
