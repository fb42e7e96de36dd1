/** Addresses of network devices (rtnetlink(7)). Constants from linux/if_addr.h and linux/rtnetlink.h. */
import { defineStruct } from "../ffi/struct.ts";
import { bytes, concat, decodeAttributes, encodeAttributes, numberOf, u32 } from "./attributes.ts";
import { formatIp } from "./ip_address.ts";
import { type Message, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, type Request } from "./message.ts";

export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;

export const AF_INET = 2;
export const AF_INET6 = 10;

export const RT_SCOPE_UNIVERSE = 0;

export const IFA_F_NODAD = 0x02;
export const IFA_F_PERMANENT = 0x80;
export const IFA_F_NOPREFIXROUTE = 0x200;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
const IFA_RT_PRIORITY = 9;

const ifaddrmsg = defineStruct({
  family: "u8",
  prefixlen: "u8",
  flags: "u8",
  scope: "u8",
  index: "u32",
});

/** An address of a device. */
export interface InterfaceAddress {
  /** 4 or 16 bytes */
  readonly local: Uint8Array;
  readonly prefixLength: number;
  /** the other end of a point-to-point link; absent: `prefixLength` is of the address itself */
  readonly peer?: Uint8Array;
  readonly broadcast?: Uint8Array;
  /** RT_SCOPE_* */
  readonly scope: number;
  /** IFA_F_* */
  readonly flags: number;
  /** metric of the route to its network */
  readonly metric?: number;
}

/** Gives an address to the device with this index. */
export function newAddress(index: number, address: InterfaceAddress): Request {
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: addressBody(index, address),
    operation: "RTM_NEWADDR",
    args: { name: describe(address) },
  };
}

/** Takes an address from the device with this index. */
export function deleteAddress(index: number, address: InterfaceAddress): Request {
  return {
    type: RTM_DELADDR,
    flags: 0,
    body: addressBody(index, address),
    operation: "RTM_DELADDR",
    args: { name: describe(address) },
  };
}

/** Asks for the addresses of the device with this index; of an old kernel's answer all are of any. */
export function getAddresses(index: number): Request {
  const header = ifaddrmsg.alloc();
  ifaddrmsg.set(header, "index", index);
  return {
    type: RTM_GETADDR,
    flags: NLM_F_DUMP,
    body: header,
    operation: "RTM_GETADDR",
    args: { index },
  };
}

const describe = ({ local, prefixLength }: InterfaceAddress): string =>
  `${formatIp(local)}/${prefixLength}`;

function addressBody(index: number, address: InterfaceAddress): Uint8Array {
  const { local, prefixLength, peer, broadcast, scope, flags, metric } = address;
  const header = ifaddrmsg.alloc();
  ifaddrmsg.set(header, "family", local.length === 4 ? AF_INET : AF_INET6);
  ifaddrmsg.set(header, "prefixlen", prefixLength);
  ifaddrmsg.set(header, "scope", scope);
  ifaddrmsg.set(header, "index", index);
  return concat([
    header,
    encodeAttributes([
      bytes(IFA_LOCAL, local),
      bytes(IFA_ADDRESS, peer ?? local),
      ...(broadcast === undefined ? [] : [bytes(IFA_BROADCAST, broadcast)]),
      ...(flags === 0 ? [] : [u32(IFA_FLAGS, flags)]),
      ...(metric === undefined ? [] : [u32(IFA_RT_PRIORITY, metric)]),
    ]),
  ]);
}

/** The address of an RTM_NEWADDR message, and its device; undefined for one that is something else. */
export function parseAddress({
  type,
  body,
}: Message): (InterfaceAddress & { readonly index: number }) | undefined {
  if (type !== RTM_NEWADDR) return undefined;
  const found = decodeAttributes(body.subarray(ifaddrmsg.size));
  const address = found.get(IFA_ADDRESS)?.slice();
  const local = found.get(IFA_LOCAL)?.slice() ?? address; // IPv6 has it with a peer only
  if (local === undefined || address === undefined) return undefined;
  const isPeer = formatIp(local) !== formatIp(address);
  const broadcast = found.get(IFA_BROADCAST)?.slice();
  const metric = numberOf(found.get(IFA_RT_PRIORITY));
  return {
    index: ifaddrmsg.get(body, "index"),
    local,
    prefixLength: ifaddrmsg.get(body, "prefixlen"),
    scope: ifaddrmsg.get(body, "scope"),
    flags: numberOf(found.get(IFA_FLAGS)) ?? ifaddrmsg.get(body, "flags"),
    ...(isPeer ? { peer: address } : {}),
    ...(broadcast === undefined ? {} : { broadcast }),
    ...(metric === undefined ? {} : { metric }),
  };
}
