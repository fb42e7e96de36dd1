/** `-p` and `--expose`: ports, in every form that Docker takes (go-connections: nat/nat.go). */
import { UsageError } from "../../errors.ts";
import { parseIp } from "../../netlink/ip_address.ts";
import type { PortRequest } from "../../network/ports.ts";

type Range = readonly [first: number, last: number];
type Protocol = PortRequest["protocol"];

/** Ports of a container, of one protocol. */
export interface PortRange {
  readonly protocol: Protocol;
  readonly ports: Range;
}

function parseRange(text: string): Range | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= 65535 ? [first, last] : undefined;
}

function splitProtocol(text: string): { ports: string; protocol: Protocol } {
  const [, ports = "", , name = "tcp"] = /^([^/]*)(\/(.*))?$/s.exec(text) ?? [];
  const protocol = name.toLowerCase();
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp")
    throw new UsageError(`invalid proto: ${name}`);
  return { ports, protocol };
}

/** `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, with ranges for both. An IPv6 address is in brackets. */
export function parsePublish(text: string): readonly PortRequest[] {
  if (/(^|,)(target|published|protocol|mode)=/.test(text)) return parseLongForm(text);
  const { ports, protocol } = splitProtocol(text);
  const match = /^(?:(?:(\[[^\]]*\]|[^:[\]]*):)?([^:]*):)?([^:]*)$/.exec(ports);
  if (match === null) throw new UsageError(`invalid IP address: ${ports}`);
  const [, ip = "", host = "", container = ""] = match;
  return compose({ text, protocol, ip: ip.replace(/^\[|\]$/g, ""), host, container });
}

/** `target=80,published=8080,protocol=tcp,mode=host`. */
function parseLongForm(text: string): readonly PortRequest[] {
  const fields = new Map<string, string>();
  for (const field of text.split(",")) {
    const [, name = "", value] = /^([^=]*)=(.*)$/s.exec(field) ?? [];
    if (value === undefined) throw new UsageError(`invalid field: ${field}`);
    if (!["target", "published", "protocol", "mode"].includes(name))
      throw new UsageError(`invalid field key: ${name}`);
    fields.set(name, value);
  }
  const { protocol } = splitProtocol(`/${fields.get("protocol") ?? "tcp"}`);
  const container = fields.get("target") ?? "";
  return compose({ text, protocol, ip: "", host: fields.get("published") ?? "", container });
}

interface Parts {
  readonly text: string;
  readonly protocol: Protocol;
  readonly ip: string;
  readonly host: string;
  readonly container: string;
}

function compose({ text, protocol, ip, host, container }: Parts): readonly PortRequest[] {
  if (ip !== "" && parseIp(ip) === undefined) throw new UsageError(`invalid IP address: ${ip}`);
  if (container === "") throw new UsageError(`no port specified: ${text}<empty>`);
  const inside = parseRange(container);
  if (inside === undefined || inside[0] === 0)
    throw new UsageError(`invalid containerPort: ${container}`);
  const outside = host === "" ? undefined : parseRange(host);
  if (host !== "" && outside === undefined) throw new UsageError(`invalid hostPort: ${host}`);
  const [count, hostCount] = [inside, outside ?? inside].map(([a, b]) => b - a + 1) as [
    number,
    number,
  ];
  // One port of the container may be any of several of the host.
  if (count !== hostCount && count !== 1)
    throw new UsageError(
      `invalid ranges specified for container and host Ports: ${container} and ${host}`,
    );
  return Array.from({ length: count }, (_, index): PortRequest => {
    const hostPorts: Range | undefined =
      outside === undefined || outside[1] === 0
        ? undefined
        : count === 1
          ? outside
          : [outside[0] + index, outside[0] + index];
    return {
      protocol,
      port: inside[0] + index,
      ...(ip === "" ? {} : { hostIp: ip }),
      ...(hostPorts === undefined ? {} : { hostPorts }),
    };
  });
}

/** `--expose 80`, `8000-8010/udp`. */
export function parseExpose(text: string): PortRange {
  if (text.includes(":")) throw new UsageError(`invalid port format for --expose: ${text}`);
  const { ports, protocol } = splitProtocol(text);
  const range = parseRange(ports);
  if (range === undefined || range[0] === 0)
    throw new UsageError(
      `invalid range format for --expose: ${text}, error: ${ports === "" ? "empty string specified for ports" : `invalid port ${ports}`}`,
    );
  return { protocol, ports: range };
}
