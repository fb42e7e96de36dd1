/** `--network` and what goes with it. */
import { UsageError } from "../../errors.ts";
import { parseIp } from "../../netlink/ip_address.ts";
import type { EndpointRequest } from "../../network/connect.ts";
import { quote } from "../../quote.ts";

/** `--network NAME`, or `name=NAME,alias=…,ip=…`. */
export function parseNetwork(text: string): EndpointRequest {
  if (!/^[a-z0-9-]+=/i.test(text)) return { network: text === "" ? "bridge" : text };
  const aliases: string[] = [];
  const found: { network?: string; ip?: string; ip6?: string; mac?: string } = {};
  for (const field of text.split(",")) {
    const [, name = "", value = ""] = /^\s*([^=\s]*)\s*=\s*(.*?)\s*$/s.exec(field) ?? [];
    if (name === "") throw new UsageError(`invalid field ${field}`);
    if (name === "name") found.network = value;
    else if (name === "alias") aliases.push(value);
    else if (name === "ip") found.ip = parseAddress(4)(value);
    else if (name === "ip6") found.ip6 = parseAddress(6)(value);
    else if (name === "mac-address") found.mac = parseMac(value);
    else throw new UsageError(`invalid field key ${name}`);
  }
  const { network, ...rest } = found;
  if (network === undefined || network === "")
    throw new UsageError("network name/id is not specified");
  return { network, ...rest, ...(aliases.length === 0 ? {} : { aliases }) };
}

/** `--ip`, `--ip6`. */
export const parseAddress =
  (version: 4 | 6) =>
  (text: string): string => {
    const bytes = parseIp(text);
    if (bytes?.length !== (version === 4 ? 4 : 16))
      throw new UsageError(`invalid IPv${version} address: ${text}`);
    return text;
  };

/** `--mac-address`. */
export function parseMac(text: string): string {
  const mac = text.toLowerCase().replaceAll("-", ":");
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac))
    throw new UsageError(`${quote(text)} is not a valid mac address`);
  if ((Number.parseInt(mac.slice(0, 2), 16) & 1) === 1)
    throw new UsageError(`${quote(text)} is the mac address of a group, no device can have it`);
  return mac;
}

/** `--add-host NAME:IP`, `NAME=IP`; the address may be `host-gateway`. */
export function parseExtraHost(text: string): string {
  const [, name = "", ip = ""] = /^([^:=]+)[:=](.*)$/s.exec(text) ?? [];
  const bare = ip.replace(/^\[(.*)\]$/, "$1");
  if (name === "" || /\s/.test(name))
    throw new UsageError(`bad format for add-host: ${quote(text)}`);
  if (bare !== "host-gateway" && parseIp(bare) === undefined)
    throw new UsageError(`invalid IP address in add-host: ${quote(ip)}`);
  return `${name}:${bare}`;
}

/** `--dns`. */
export function parseNameserver(text: string): string {
  if (parseIp(text.trim()) === undefined) throw new UsageError(`${text} is not an ip address`);
  return text.trim();
}

/** `--dns-search`: a domain, or `.` for none. */
export function parseSearchDomain(text: string): string {
  const domain = text.trim();
  if (domain !== "." && !/^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?\.?$/.test(domain))
    throw new UsageError(`${text} is not a valid domain`);
  return domain;
}
