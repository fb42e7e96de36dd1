/** `--restart` (docker/cli: opts.ParseRestartPolicy; moby: container.ValidateRestartPolicy). */
import type { RestartPolicy } from "../../engine/restart_policy.ts";
import { UsageError } from "../../errors.ts";

const NAMES = ["no", "always", "on-failure", "unless-stopped"] as const;

/** `no`, `on-failure[:N]`, `always`, `unless-stopped`. */
export function parseRestart(text: string): RestartPolicy {
  const colon = text.indexOf(":");
  const [said, count] = colon === -1 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
  if (said === "") {
    throw new UsageError("invalid restart policy format: no policy provided before colon");
  }
  if (count !== "" && !(/^[+-]?\d+$/.test(count) && Number.isSafeInteger(Number(count)))) {
    throw new UsageError("invalid restart policy format: maximum retry count must be an integer");
  }
  const maximumRetryCount = Number(count);
  const name = NAMES.find((each) => each === said);
  if (name === undefined) {
    throw new UsageError(
      `invalid restart policy: unknown policy '${said}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  }
  if (name === "on-failure" ? maximumRetryCount < 0 : maximumRetryCount !== 0) {
    const negative = "cannot be negative";
    if (name === "on-failure") {
      throw new UsageError(`invalid restart policy: maximum retry count ${negative}`);
    }
    throw new UsageError(
      "invalid restart policy: maximum retry count can only be used with 'on-failure'" +
        (maximumRetryCount < 0 ? ` and ${negative}` : ""),
    );
  }
  return { name, maximumRetryCount };
}
