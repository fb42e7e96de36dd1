import { UsageError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";

/** `mydocker network disconnect`. */
export const command = defineCommand({
  options: {
    force: { type: "boolean", short: "f", description: "One that is not connected is no failure" },
  },
  positionals: { usage: "NETWORK CONTAINER", min: 2, max: 2 },
  async run({ values, positionals: [network, container] }) {
    if (network === undefined || container === undefined) throw new UsageError("two are needed");
    requireRoot("mydocker network disconnect");
    const { disconnectNetwork } = await import("../../../engine/network_connect.ts");
    const { statePaths } = await import("../../../paths.ts");
    disconnectNetwork(statePaths(), container, network, values.force);
    return 0;
  },
});
