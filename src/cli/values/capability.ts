/** `--cap-add` and `--cap-drop`. */
import { CAPABILITIES } from "../../capabilities/capabilities.ts";
import { UsageError } from "../../errors.ts";
import { quote } from "../../quote.ts";

/** `net_admin`, `CAP_NET_ADMIN`, `all`. @returns `CAP_NET_ADMIN`, or `ALL` */
export function parseCapability(text: string): string {
  const upper = text.toUpperCase();
  if (upper === "ALL" || upper === "CAP_ALL") return "ALL";
  const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (!(CAPABILITIES as readonly string[]).includes(name))
    throw new UsageError(`unknown capability: ${quote(name)}`);
  return name;
}
