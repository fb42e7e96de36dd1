import { UsageError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { parseAddress } from "../../values/network.ts";

/** `mydocker network connect`. */
export const command = defineCommand({
  options: {
    alias: { type: "list", value: "name", description: "Name that others find it by" },
    ip: {
      type: "value",
      value: "address",
      description: "IPv4 address on the network",
      parse: parseAddress(4),
    },
    ip6: {
      type: "value",
      value: "address",
      description: "IPv6 address on the network",
      parse: parseAddress(6),
    },
  },
  positionals: { usage: "NETWORK CONTAINER", min: 2, max: 2 },
  rules: { later: { "driver-opt": "", "gw-priority": "", link: "", "link-local-ip": "" } },
  async run({ values, positionals: [network, container] }) {
    if (network === undefined || container === undefined) throw new UsageError("two are needed");
    requireRoot("mydocker network connect");
    const { connectNetwork } = await import("../../../engine/network_connect.ts");
    const { statePaths } = await import("../../../paths.ts");
    connectNetwork(statePaths(), container, network, {
      ...defined({ ip: values.ip, ip6: values.ip6 }),
      ...(values.alias.length === 0 ? {} : { aliases: values.alias }),
    });
    return 0;
  },
});
