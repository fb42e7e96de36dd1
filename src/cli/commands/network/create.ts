import { defineCommand, requireRoot } from "../../command.ts";
import { print } from "../../output.ts";
import { parseLabel, splitPair } from "../../values/key_values.ts";

/** `mydocker network create`. */
export const command = defineCommand({
  options: {
    "aux-address": {
      type: "list",
      value: "name=address",
      description: "Address that no container gets",
    },
    driver: {
      type: "value",
      short: "d",
      value: "driver",
      description: "Driver of the network: bridge, macvlan or ipvlan",
      complete: ["bridge", "macvlan", "ipvlan"],
    },
    gateway: { type: "list", value: "address", description: "Gateway of a subnet: the bridge" },
    internal: { type: "boolean", description: "Nothing outside can be reached" },
    "ip-range": {
      type: "list",
      value: "subnet",
      description: "Part of a subnet from which containers get addresses",
    },
    ipv6: { type: "boolean", description: "With addresses of IPv6" },
    label: {
      type: "list",
      value: "name=value",
      description: "Set a label on the network",
      parse: parseLabel,
    },
    opt: {
      type: "list",
      short: "o",
      value: "name=value",
      description:
        "Option of the driver, such as parent=eth0, or com.docker.network.driver.mtu=1400",
      parse: splitPair,
    },
    subnet: { type: "list", value: "subnet", description: "Addresses of the network: 10.1.0.0/16" },
  },
  positionals: { usage: "NETWORK", min: 1, max: 1 },
  rules: {
    later: {
      attachable: "",
      "config-from": "",
      "config-only": "",
      ingress: "",
      "ipam-driver": "",
      "ipam-opt": "",
      ipv4: "",
      scope: "",
    },
  },
  async run({ values, positionals }) {
    requireRoot("mydocker network create");
    const { makeNamedNetwork } = await import("../../../engine/network_commands.ts");
    const { statePaths } = await import("../../../paths.ts");
    const id = makeNamedNetwork(statePaths(), {
      name: positionals[0] as string,
      driver: values.driver ?? "bridge",
      subnets: values.subnet,
      gateways: values.gateway,
      ranges: values["ip-range"],
      auxiliary: values["aux-address"],
      internal: values.internal,
      ipv6: values.ipv6,
      options: Object.fromEntries(values.opt.map((each) => [each.name, each.value ?? ""])),
      labels: Object.fromEntries(values.label),
    });
    await print(`${id}\n`);
    return 0;
  },
});
