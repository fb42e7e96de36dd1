import { MydockerError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { print } from "../../output.ts";

/** `mydocker push`. */
export const command = defineCommand({
  options: {
    "all-tags": { type: "boolean", short: "a", description: "Push every tag of the repository" },
    quiet: { type: "boolean", short: "q", description: "Show only the image's name at the end" },
    "tls-verify": {
      type: "boolean",
      default: true,
      description: "Check the registry's certificate, and do not do without one; on by default",
    },
    "disable-content-trust": { type: "boolean", default: true, description: "", hidden: true },
  },
  positionals: { usage: "NAME[:TAG]", min: 1, max: 1, complete: "image" },
  rules: { later: { platform: "" } },
  async run({ values, positionals: [name = ""] }) {
    requireRoot("mydocker push");
    const { formatReference, fullName, parseReference, withDefaultTag } = await import(
      "../../../images/reference.ts"
    );
    const parsed = parseReference(name);
    const all = values["all-tags"];
    if (all && (parsed.tag ?? parsed.digest) !== undefined)
      throw new MydockerError("tag can't be used with --all-tags/-a");
    if (parsed.digest !== undefined) throw new MydockerError("cannot push a digest reference");
    const reference = withDefaultTag(parsed);
    if (!all && !values.quiet && parsed.tag === undefined)
      await print(`Using default tag: ${reference.tag}\n`);
    const { pushReference } = await import("../../../engine/push.ts");
    const { TransferProgress } = await import("../../transfer_progress.ts");
    const progress = values.quiet ? undefined : new TransferProgress(1);
    await pushReference(all ? parsed : reference, {
      all,
      tlsVerify: values["tls-verify"],
      listener: progress?.show ?? (() => undefined),
    });
    progress?.finish();
    if (values.quiet) await print(`${all ? fullName(parsed) : formatReference(reference)}\n`);
  },
});
