/** Port 53 of 127.0.0.11 in a container, without taking it from name servers that the container may run. */
import { isErrno } from "../ffi/call.ts";
import { parseIp } from "../netlink/ip_address.ts";
import { compare, load, meta, payload, redirect, slot } from "../netlink/nft_expression.ts";
import { deleteTable, newChain, newRule, newTable } from "../netlink/nft_message.ts";
import { lacksNftables, NftSocket } from "../netlink/nft_socket.ts";
import { RESOLVER } from "./etc.ts";

const TABLE = { family: "ipv4", name: "mydocker" } as const;
const PROTOCOL = { tcp: 6, udp: 17 } as const;
const bytesOf = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 0xff);

/**
 * In the current network namespace: to the ports where the resolver really listens, as Docker does it.
 * @returns false where the kernel has no nf_tables
 */
export function redirectResolver(udp: number, tcp: number): boolean {
  const address = parseIp(RESOLVER) as Uint8Array;
  const rule = (protocol: keyof typeof PROTOCOL, port: number) =>
    newRule(TABLE, "output", [
      payload("network", 16, 4),
      compare("==", address),
      meta("l4proto"),
      compare("==", Uint8Array.of(PROTOCOL[protocol])),
      payload("transport", 2, 2),
      compare("==", bytesOf(53)),
      load(address, slot(0)),
      load(bytesOf(port), slot(1)),
      redirect("ipv4", slot(0), slot(1)),
    ]);
  try {
    using socket = new NftSocket();
    socket.commit([
      newTable(TABLE),
      deleteTable(TABLE),
      newTable(TABLE),
      newChain(TABLE, "output", { type: "nat", hook: "output", priority: -100 }),
      rule("udp", udp),
      rule("tcp", tcp),
    ]);
    return true;
  } catch (error) {
    if (lacksNftables(error) || isErrno(error, "ENOENT")) return false;
    throw error;
  }
}
