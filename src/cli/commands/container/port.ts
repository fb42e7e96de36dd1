import { MydockerError, UsageError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { print } from "../../output.ts";
import { hostSide, sortedPorts } from "../../port_text.ts";

/** `mydocker port`. */
export const command = defineCommand({
  options: {},
  positionals: {
    usage: "CONTAINER [PORT[/PROTOCOL]]",
    min: 1,
    max: 2,
    complete: "container",
  },
  async run({ positionals: [name = "", asked] }) {
    requireRoot("mydocker port");
    const { containerPorts } = await import("../../../engine/network_ports.ts");
    const { statePaths } = await import("../../../paths.ts");
    const ports = sortedPorts(containerPorts(statePaths(), name));
    if (asked === undefined) {
      const lines = ports.map((port) => `${port.port}/${port.protocol} -> ${hostSide(port)}\n`);
      await print(lines.join(""));
      return 0;
    }
    const [, number, protocol = "tcp"] = /^(\d{1,5})(?:\/(\w+))?$/.exec(asked) ?? [];
    if (number === undefined) throw new UsageError(`Invalid port: ${asked}`);
    const found = ports.filter(
      (port) => port.port === Number(number) && port.protocol === protocol.toLowerCase(),
    );
    if (found.length === 0)
      throw new MydockerError(`no public port '${asked}' published for ${name}`);
    await print(found.map((port) => `${hostSide(port)}\n`).join(""));
    return 0;
  },
});
