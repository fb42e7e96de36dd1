/** Networks of addresses, `172.17.0.0/16`: arithmetic on them. Addresses are numbers here. */
import { formatIp, parseIp } from "../netlink/ip_address.ts";

/** A network, or a part of one: its first address, and how many bits of it all of its addresses share. */
export interface Prefix {
  readonly version: 4 | 6;
  readonly first: bigint;
  readonly length: number;
}

/** How many bits an address has. */
export const bitsOf = (version: 4 | 6): number => (version === 4 ? 32 : 128);

/** The number that an address of 4 or 16 bytes is. */
export function toNumber(address: Uint8Array): bigint {
  let number = 0n;
  for (const byte of address) number = (number << 8n) | BigInt(byte);
  return number;
}

/** The address of 4 or 16 bytes that a number is. */
export function toAddress(number: bigint, version: 4 | 6): Uint8Array {
  const address = new Uint8Array(bitsOf(version) / 8);
  let rest = number;
  for (let at = address.length - 1; at >= 0; at--) {
    address[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return address;
}

/** Reads `172.17.0.0/16`, host bits and all. @returns undefined for a text that is none */
export function parseCidr(text: string): { address: bigint; prefix: Prefix } | undefined {
  const [, ip = "", bits = ""] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const bytes = parseIp(ip);
  if (bytes === undefined) return undefined;
  const version = bytes.length === 4 ? 4 : 6;
  const length = Number(bits);
  if (length > bitsOf(version)) return undefined;
  const address = toNumber(bytes);
  return { address, prefix: prefixAround(address, version, length) };
}

/** Reads the prefix of a text that was written by {@link formatPrefix}. */
export function readPrefix(text: string): Prefix {
  const found = parseCidr(text);
  if (found === undefined) throw new TypeError(`${text} is no network`);
  return found.prefix;
}

/** The prefix of this length that an address lies in. */
export function prefixAround(address: bigint, version: 4 | 6, length: number): Prefix {
  const shift = BigInt(bitsOf(version) - length);
  return { version, first: (address >> shift) << shift, length };
}

/** The text of a prefix. */
export const formatPrefix = ({ version, first, length }: Prefix): string =>
  `${formatIp(toAddress(first, version))}/${length}`;

/** The text of an address. */
export const formatAddress = (address: bigint, version: 4 | 6): string =>
  formatIp(toAddress(address, version));

/** Its last address. */
export const lastOf = ({ version, first, length }: Prefix): bigint =>
  first + (1n << BigInt(bitsOf(version) - length)) - 1n;

/** Whether an address lies in a prefix. */
export const contains = (prefix: Prefix, address: bigint): boolean =>
  address >= prefix.first && address <= lastOf(prefix);

/** Whether two prefixes have an address in common. */
export const overlap = (a: Prefix, b: Prefix): boolean =>
  a.version === b.version && a.first <= lastOf(b) && b.first <= lastOf(a);
