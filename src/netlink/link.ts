/** Network devices (rtnetlink(7)). Constants from linux/if_link.h, linux/if.h and linux/rtnetlink.h. */
import { defineStruct } from "../ffi/struct.ts";
import {
  type Attribute,
  bytes,
  concat,
  decodeAttributes,
  encodeAttributes,
  nested,
  numberOf,
  text,
  textOf,
  u8,
  u16,
  u32,
} from "./attributes.ts";
import { type Message, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, type Request } from "./message.ts";

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;

export const IFF_UP = 1;
export const IFF_LOOPBACK = 8;

const IFLA = {
  IFLA_ADDRESS: 1,
  IFLA_IFNAME: 3,
  IFLA_MTU: 4,
  IFLA_LINK: 5,
  IFLA_MASTER: 10,
  IFLA_PROTINFO: 12,
  IFLA_LINKINFO: 18,
  IFLA_NET_NS_PID: 19,
  IFLA_IFALIAS: 20,
  IFLA_NET_NS_FD: 28,
  IFLA_EXT_MASK: 29,
} as const;
const AF_BRIDGE = 7;
const IFLA_BRPORT_MODE = 4;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_BR_FORWARD_DELAY = 1;
const IFLA_BR_STP_STATE = 5;
const VETH_INFO_PEER = 1;
const IFLA_MACVLAN_MODE = 1;
const IFLA_IPVLAN_MODE = 1;
const IFLA_IPVLAN_FLAGS = 2;
/** No counters: they make most of an answer. */
const RTEXT_FILTER_SKIP_STATS = 8;

const ifinfomsg = defineStruct({
  family: "u8",
  pad: "u8",
  type: "u16",
  index: "i32",
  flags: "u32",
  change: "u32",
});

/** A device, as the kernel shows it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** IFF_* */
  readonly flags: number;
  readonly mtu: number;
  /** hardware address; empty if it has none */
  readonly address: Uint8Array;
  /** `bridge`, `veth`, …; absent for a physical one and the loopback */
  readonly kind?: string;
  /** index of the bridge that it is a port of */
  readonly master?: number;
  /** index of its peer, or of what it is on; in another namespace, perhaps */
  readonly link?: number;
}

/** Which device. */
export type LinkSelector = { readonly index: number } | { readonly name: string };

/** A network namespace, by a descriptor of it or by a process in it. */
export type NamespaceSelector = { readonly fd: number } | { readonly pid: number };

/** What a device can be told. */
export interface LinkSettings {
  readonly up?: boolean;
  readonly mtu?: number;
  /** hardware address */
  readonly address?: Uint8Array;
  /** index of a bridge that it becomes a port of; 0: of none */
  readonly master?: number;
  readonly alias?: string;
  /** index of the device that it is on, in the namespace of who asks */
  readonly link?: number;
  /** where it goes */
  readonly namespace?: NamespaceSelector;
}

/** A device to be made. */
export interface NewLink extends LinkSettings {
  readonly name: string;
  readonly kind: LinkKind;
}

/** What kind of device, and what is particular to it. */
export type LinkKind =
  | { readonly type: "dummy" | "ifb" }
  /** MACVLAN_MODE_* */
  | { readonly type: "macvlan"; readonly mode: number }
  /** IPVLAN_MODE_* and IPVLAN_F_* */
  | { readonly type: "ipvlan"; readonly mode: number; readonly flags: number }
  | {
      readonly type: "bridge";
      /** hundredths of a second */
      readonly forwardDelay?: number;
      readonly stp?: boolean;
    }
  | { readonly type: "veth"; readonly peer: LinkSettings & { readonly name: string } };

/** Makes a device. */
export function newLink({ name, kind, ...settings }: NewLink): Request {
  const info = nested(IFLA.IFLA_LINKINFO, [text(IFLA_INFO_KIND, kind.type), ...kindData(kind)]);
  return {
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: linkBody({ name }, settings, [info]),
    operation: "RTM_NEWLINK",
    args: { name, type: kind.type },
  };
}

function kindData(kind: LinkKind): Attribute[] {
  if (kind.type === "veth") {
    const { name, ...settings } = kind.peer;
    const peer = { type: VETH_INFO_PEER, value: linkBody({ name }, settings) };
    return [nested(IFLA_INFO_DATA, [peer])];
  }
  if (kind.type === "macvlan") return [nested(IFLA_INFO_DATA, [u32(IFLA_MACVLAN_MODE, kind.mode)])];
  if (kind.type === "ipvlan") {
    const { mode, flags } = kind;
    return [nested(IFLA_INFO_DATA, [u16(IFLA_IPVLAN_MODE, mode), u16(IFLA_IPVLAN_FLAGS, flags)])];
  }
  if (kind.type !== "bridge") return [];
  const { forwardDelay, stp } = kind;
  return [
    nested(IFLA_INFO_DATA, [
      ...(forwardDelay === undefined ? [] : [u32(IFLA_BR_FORWARD_DELAY, forwardDelay)]),
      ...(stp === undefined ? [] : [u32(IFLA_BR_STP_STATE, stp ? 1 : 0)]),
    ]),
  ];
}

/** Changes a device. @param rename its new name, which may end in `%d`: a number that is free */
export function setLink(which: LinkSelector, settings: LinkSettings, rename?: string): Request {
  const more = rename === undefined ? [] : [text(IFLA.IFLA_IFNAME, rename)];
  return {
    type: RTM_SETLINK,
    flags: 0,
    body: linkBody(which, settings, more),
    operation: "RTM_SETLINK",
    args: { ...which, to: rename },
  };
}

/** Has a bridge send back by this port of its what came in by it, or not. */
export function setHairpin(index: number, on: boolean): Request {
  const header = ifinfomsg.alloc();
  ifinfomsg.set(header, "family", AF_BRIDGE);
  ifinfomsg.set(header, "index", index);
  return {
    type: RTM_SETLINK,
    flags: 0,
    body: concat([
      header,
      encodeAttributes([nested(IFLA.IFLA_PROTINFO, [u8(IFLA_BRPORT_MODE, on ? 1 : 0)])]),
    ]),
    operation: "RTM_SETLINK",
    args: { index },
  };
}

/** Removes a device. */
export function deleteLink(which: LinkSelector): Request {
  return {
    type: RTM_DELLINK,
    flags: 0,
    body: linkBody(which, {}),
    operation: "RTM_DELLINK",
    args: { ...which },
  };
}

/** Asks for a device. */
export function getLink(which: LinkSelector): Request {
  return {
    type: RTM_GETLINK,
    flags: 0,
    body: linkBody(which, {}, [u32(IFLA.IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)]),
    operation: "RTM_GETLINK",
    args: { ...which },
  };
}

/** Asks for all devices. */
export function getLinks(): Request {
  return {
    type: RTM_GETLINK,
    flags: NLM_F_DUMP,
    body: concat([
      ifinfomsg.alloc(),
      encodeAttributes([u32(IFLA.IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)]),
    ]),
    operation: "RTM_GETLINK",
    args: {},
  };
}

function linkBody(
  which: LinkSelector,
  { up, mtu, address, master, alias, link, namespace }: LinkSettings,
  more: readonly Attribute[] = [],
): Uint8Array {
  const header = ifinfomsg.alloc();
  if ("index" in which) ifinfomsg.set(header, "index", which.index);
  if (up !== undefined) {
    ifinfomsg.set(header, "flags", up ? IFF_UP : 0);
    ifinfomsg.set(header, "change", IFF_UP);
  }
  const attributes = [
    ...("name" in which ? [text(IFLA.IFLA_IFNAME, which.name)] : []),
    ...(mtu === undefined ? [] : [u32(IFLA.IFLA_MTU, mtu)]),
    ...(address === undefined ? [] : [bytes(IFLA.IFLA_ADDRESS, address)]),
    ...(master === undefined ? [] : [u32(IFLA.IFLA_MASTER, master)]),
    ...(alias === undefined ? [] : [text(IFLA.IFLA_IFALIAS, alias)]),
    ...(link === undefined ? [] : [u32(IFLA.IFLA_LINK, link)]),
    ...(namespace === undefined ? [] : [namespaceAttribute(namespace)]),
  ];
  return concat([header, encodeAttributes([...attributes, ...more])]);
}

const namespaceAttribute = (namespace: NamespaceSelector): Attribute =>
  "fd" in namespace
    ? u32(IFLA.IFLA_NET_NS_FD, namespace.fd)
    : u32(IFLA.IFLA_NET_NS_PID, namespace.pid);

/** The device of an RTM_NEWLINK message; undefined for one that is something else. */
export function parseLink({ type, body }: Message): Link | undefined {
  if (type !== RTM_NEWLINK) return undefined;
  const found = decodeAttributes(body.subarray(ifinfomsg.size));
  const info = found.get(IFLA.IFLA_LINKINFO);
  const kind = info && textOf(decodeAttributes(info).get(IFLA_INFO_KIND));
  const master = numberOf(found.get(IFLA.IFLA_MASTER));
  const link = numberOf(found.get(IFLA.IFLA_LINK));
  return {
    index: ifinfomsg.get(body, "index"),
    name: textOf(found.get(IFLA.IFLA_IFNAME)) ?? "",
    flags: ifinfomsg.get(body, "flags"),
    mtu: numberOf(found.get(IFLA.IFLA_MTU)) ?? 0,
    address: found.get(IFLA.IFLA_ADDRESS)?.slice() ?? new Uint8Array(0),
    ...(kind === undefined ? {} : { kind }),
    ...(master === undefined ? {} : { master }),
    ...(link === undefined ? {} : { link }),
  };
}
