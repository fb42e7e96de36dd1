/** Ethernet frames, made byte by byte, that say what their sender likes. In hexadecimal, for raw_frame.c. */
import { parseIp } from "../../src/netlink/ip_address.ts";

/** Who a frame says that it is from, and what it is to. Addresses are texts. */
export interface FrameParties {
  /** hardware address of the frame itself */
  readonly source: string;
  readonly destination: string;
  /** the IP address that it is from, or about */
  readonly from: string;
  readonly to: string;
}

const BROADCAST = "ff:ff:ff:ff:ff:ff";
const mac = (text: string): number[] => text.split(":").map((part) => Number.parseInt(part, 16));
const ip = (text: string): number[] => [...(parseIp(text) ?? [])];
const u16 = (value: number): number[] => [value >> 8, value & 0xff];

/** The Internet checksum (RFC 1071). */
function checksum(bytes: readonly number[]): number[] {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2)
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return u16(~sum & 0xffff);
}

const hex = (...parts: readonly number[][]): string => Buffer.from(parts.flat()).toString("hex");

/** A question by ARP (RFC 826) to everybody. @param about the hardware address that `from` is said to have */
export const arp = ({ source, from, to }: FrameParties, about = source): string =>
  hex(
    [...mac(BROADCAST), ...mac(source), ...u16(0x0806)],
    [...u16(1), ...u16(0x0800), 6, 4, ...u16(1)],
    [...mac(about), ...ip(from), 0, 0, 0, 0, 0, 0, ...ip(to)],
  );

/** A datagram of IPv4 (RFC 791, RFC 768), without a checksum of its own. */
export function datagram(
  { source, destination, from, to }: FrameParties,
  port: number,
  text: string,
): string {
  const data = [...Buffer.from(text)];
  const length = 8 + data.length;
  const start = [0x45, 0, ...u16(20 + length), 0, 0, 0, 0, 64, 17];
  const addresses = [...ip(from), ...ip(to)];
  return hex(
    [...mac(destination), ...mac(source), ...u16(0x0800)],
    [...start, ...checksum([...start, ...addresses]), ...addresses],
    [...u16(port), ...u16(port), ...u16(length), 0, 0, ...data],
  );
}

/** An advertisement (RFC 4861, section 4.4) that `from` is at this hardware address, which overrides others. */
export function neighborAdvertisement({ source, destination, from, to }: FrameParties): string {
  const message = [0x20, 0, 0, 0, ...ip(from), 2, 1, ...mac(source)];
  const addresses = [...ip(from), ...ip(to)];
  const length = 4 + message.length;
  const sum = checksum([...addresses, 0, 0, ...u16(length), 0, 0, 0, 58, 136, 0, ...message]);
  return hex(
    [...mac(destination), ...mac(source), ...u16(0x86dd)],
    [0x60, 0, 0, 0, ...u16(length), 58, 255, ...addresses],
    [136, 0, ...sum, ...message],
  );
}
