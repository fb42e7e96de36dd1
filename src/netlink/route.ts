/** Routes (rtnetlink(7)). Constants from linux/rtnetlink.h. */
import { defineStruct } from "../ffi/struct.ts";
import { AF_INET, AF_INET6 } from "./address.ts";
import { bytes, concat, decodeAttributes, encodeAttributes, numberOf, u32 } from "./attributes.ts";
import { formatIp } from "./ip_address.ts";
import { type Message, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, type Request } from "./message.ts";

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;

export const RT_TABLE_MAIN = 254;
export const RT_SCOPE_LINK = 253;

const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;
const RTN_BLACKHOLE = 6;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_TABLE = 15;

const rtmsg = defineStruct({
  family: "u8",
  dstLen: "u8",
  srcLen: "u8",
  tos: "u8",
  table: "u8",
  protocol: "u8",
  scope: "u8",
  type: "u8",
  flags: "u32",
});

/** A route of the main table. */
export interface Route {
  /** IPv4 or IPv6 */
  readonly version: 4 | 6;
  /** Absent: the default route. */
  readonly destination?: { readonly address: Uint8Array; readonly prefixLength: number };
  readonly gateway?: Uint8Array;
  /** index of the device */
  readonly device?: number;
  /** what its packets come from */
  readonly source?: Uint8Array;
  readonly metric?: number;
  /** Packets are dropped. */
  readonly blackhole?: boolean;
}

/** Adds a route. */
export const newRoute = (route: Route): Request => ({
  type: RTM_NEWROUTE,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: routeBody(route),
  operation: "RTM_NEWROUTE",
  args: describe(route),
});

/** Removes the route that these are properties of. */
export const deleteRoute = (route: Route): Request => ({
  type: RTM_DELROUTE,
  flags: 0,
  body: routeBody(route),
  operation: "RTM_DELROUTE",
  args: describe(route),
});

/** Asks for the routes of all tables. */
export function getRoutes(version: 4 | 6): Request {
  const header = rtmsg.alloc();
  rtmsg.set(header, "family", version === 4 ? AF_INET : AF_INET6);
  return {
    type: RTM_GETROUTE,
    flags: NLM_F_DUMP,
    body: header,
    operation: "RTM_GETROUTE",
    args: {},
  };
}

function describe({ destination, gateway }: Route) {
  return {
    name:
      destination === undefined
        ? "default"
        : `${formatIp(destination.address)}/${destination.prefixLength}`,
    via: gateway === undefined ? undefined : formatIp(gateway),
  };
}

function routeBody(route: Route): Uint8Array {
  const { version, destination, gateway, device, source, metric, blackhole } = route;
  const header = rtmsg.alloc();
  rtmsg.set(header, "family", version === 4 ? AF_INET : AF_INET6);
  rtmsg.set(header, "dstLen", destination?.prefixLength ?? 0);
  rtmsg.set(header, "table", RT_TABLE_MAIN);
  rtmsg.set(header, "protocol", RTPROT_BOOT);
  rtmsg.set(header, "type", blackhole === true ? RTN_BLACKHOLE : RTN_UNICAST);
  // A network without a gateway is on the link itself; IPv6 has no such scopes.
  const isOnLink = version === 4 && gateway === undefined && blackhole !== true;
  rtmsg.set(header, "scope", isOnLink ? RT_SCOPE_LINK : 0);
  return concat([
    header,
    encodeAttributes([
      ...(destination === undefined ? [] : [bytes(RTA_DST, destination.address)]),
      ...(gateway === undefined ? [] : [bytes(RTA_GATEWAY, gateway)]),
      ...(device === undefined ? [] : [u32(RTA_OIF, device)]),
      ...(source === undefined ? [] : [bytes(RTA_PREFSRC, source)]),
      ...(metric === undefined ? [] : [u32(RTA_PRIORITY, metric)]),
    ]),
  ]);
}

/** The route of an RTM_NEWROUTE message, and its table; undefined for one that is something else. */
export function parseRoute({
  type,
  body,
}: Message): (Route & { readonly table: number }) | undefined {
  if (type !== RTM_NEWROUTE) return undefined;
  const found = decodeAttributes(body.subarray(rtmsg.size));
  const address = found.get(RTA_DST)?.slice();
  const gateway = found.get(RTA_GATEWAY)?.slice();
  const device = numberOf(found.get(RTA_OIF));
  const source = found.get(RTA_PREFSRC)?.slice();
  const metric = numberOf(found.get(RTA_PRIORITY));
  return {
    version: rtmsg.get(body, "family") === AF_INET ? 4 : 6,
    table: numberOf(found.get(RTA_TABLE)) ?? rtmsg.get(body, "table"),
    ...(address === undefined
      ? {}
      : { destination: { address, prefixLength: rtmsg.get(body, "dstLen") } }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(device === undefined ? {} : { device }),
    ...(source === undefined ? {} : { source }),
    ...(metric === undefined ? {} : { metric }),
    ...(rtmsg.get(body, "type") === RTN_BLACKHOLE ? { blackhole: true } : {}),
  };
}
