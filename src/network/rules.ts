/**
 * The rules of our firewall: tables of our own, beside everybody else's, whose rules decide as well
 * (docs/decisions/firewall.md). They are made once; containers and networks are elements of sets.
 */
import { parseIp } from "../netlink/ip_address.ts";
import type { Request } from "../netlink/message.ts";
import {
  compare,
  connection,
  type Expression,
  isForHost,
  isIn,
  lookUp,
  masquerade,
  meta,
  payload,
  redirect,
  slot,
  verdict,
} from "../netlink/nft_expression.ts";
import {
  type BaseHook,
  deleteTable,
  newChain,
  newRule,
  newSet,
  newTable,
  type SetElement,
  type SetType,
  type Table,
} from "../netlink/nft_message.ts";
import { type Network, optionIsOn } from "./network.ts";
import type { Endpoint, PublishedPort } from "./state.ts";

/** The tables of one installation: what IP packets may do, and what may come out of a container. */
export interface Tables {
  readonly inet: Table;
  readonly bridge: Table;
}

const IPV4 = Uint8Array.of(2);
const IPV6 = Uint8Array.of(10);
const LOOPBACK4 = Uint8Array.of(127);
const LOOPBACK6 = parseIp("::1") as Uint8Array;
const UNSPECIFIED6 = parseIp("::") as Uint8Array;
const ETH_P_IP = Uint8Array.of(8, 0);
const ETH_P_ARP = Uint8Array.of(8, 6);
const ETH_P_IPV6 = Uint8Array.of(0x86, 0xdd);
const IPPROTO_ICMPV6 = Uint8Array.of(58);
/** type 134 */
const ROUTER_ADVERTISEMENT = Uint8Array.of(134);
const NEIGHBOR_SOLICITATION = Uint8Array.of(135);
const NEIGHBOR_ADVERTISEMENT = Uint8Array.of(136);
const MULTICAST_REPORT = Uint8Array.of(143);
// linux/netfilter/nf_conntrack_common.h
const IPS_DST_NAT = 0x20;
const ESTABLISHED_OR_RELATED = 0x06;

const SETS: Readonly<Record<"inet" | "bridge", Readonly<Record<string, SetType>>>> = {
  inet: {
    /** every bridge of ours */
    bridges: { key: ["ifname"] },
    /** whose containers go out with the host's address */
    masqueraded: { key: ["ifname"] },
    /** whose containers do not go out */
    internal: { key: ["ifname"] },
    /** whose containers may talk to one another: the bridge twice */
    within: { key: ["ifname", "ifname"] },
    /** containers with published ports, by their own address twice */
    selves4: { key: ["ipv4_addr", "ipv4_addr"] },
    selves6: { key: ["ipv6_addr", "ipv6_addr"] },
    ports4: { key: ["inet_proto", "inet_service"], data: ["ipv4_addr", "inet_service"] },
    ports6: { key: ["inet_proto", "inet_service"], data: ["ipv6_addr", "inet_service"] },
    ports4at: {
      key: ["ipv4_addr", "inet_proto", "inet_service"],
      data: ["ipv4_addr", "inet_service"],
    },
    ports6at: {
      key: ["ipv6_addr", "inet_proto", "inet_service"],
      data: ["ipv6_addr", "inet_service"],
    },
  },
  bridge: {
    /** our side of every container */
    links: { key: ["ifname"] },
    /** what each may send from */
    sources4: { key: ["ifname", "ether_addr", "ipv4_addr"] },
    sources6: { key: ["ifname", "ether_addr", "ipv6_addr"] },
  },
};

const from = (set: string, inverted = false) => [meta("iifname"), isIn(set, inverted)];
const to = (set: string, inverted = false) => [meta("oifname"), isIn(set, inverted)];
const within = () => [meta("iifname"), meta("oifname", slot(4)), isIn("within")];
const isIpv4 = () => [meta("nfproto"), compare("==", IPV4)];
const isIpv6 = () => [meta("nfproto"), compare("==", IPV6)];
const isRedirected = () => connection("status", IPS_DST_NAT);

type Rules = readonly (readonly Expression[])[];

/** To where a published port leads. What was asked for on one address of the host goes first. */
function publish(): Rules {
  const service = (at: number) => [
    meta("l4proto", slot(at)),
    payload("transport", 2, 2, slot(at + 1)),
  ];
  return [
    [
      ...isIpv4(),
      payload("network", 16, 4),
      ...service(1),
      lookUp("ports4at"),
      redirect("ipv4", slot(0), slot(1)),
    ],
    [...isIpv4(), ...service(0), lookUp("ports4"), redirect("ipv4", slot(0), slot(1))],
    [
      ...isIpv6(),
      payload("network", 24, 16),
      ...service(4),
      lookUp("ports6at"),
      redirect("ipv6", slot(0), slot(4)),
    ],
    [...isIpv6(), ...service(0), lookUp("ports6"), redirect("ipv6", slot(0), slot(4))],
  ];
}

interface Chain {
  readonly base?: BaseHook;
  readonly rules: Rules;
}

/** Those that others jump to come first. */
const inetChains = (): Readonly<Record<string, Chain>> => ({
  publish: { rules: publish() },
  toward: {
    rules: [
      [...within(), verdict("accept")],
      [...connection("state", ESTABLISHED_OR_RELATED), verdict("accept")],
      [...from("internal"), verdict("drop")],
      [...to("internal"), verdict("drop")],
      [...isRedirected(), verdict("accept")],
      [verdict("drop")],
    ],
  },
  prerouting: {
    base: { type: "nat", hook: "prerouting", priority: -100 },
    rules: [[...isForHost(), verdict("jump", "publish")]],
  },
  output: {
    base: { type: "nat", hook: "output", priority: -100 },
    rules: [
      [...isIpv4(), ...isForHost(), verdict("jump", "publish")],
      // The kernel sends nothing from ::1 out of a device, whoever asks.
      [
        ...isIpv6(),
        payload("network", 24, 16),
        compare("!=", LOOPBACK6),
        ...isForHost(),
        verdict("jump", "publish"),
      ],
    ],
  },
  postrouting: {
    base: { type: "nat", hook: "postrouting", priority: 100 },
    rules: [
      // The answer would go straight to the one who asked, from an address that it did not ask.
      [...isRedirected(), ...within(), masquerade()],
      // With br_netfilter such a packet stays in the bridge, and this is all that can be seen of it.
      [
        ...isIpv4(),
        ...isRedirected(),
        payload("network", 12, 4),
        payload("network", 16, 4, slot(1)),
        isIn("selves4"),
        masquerade(),
      ],
      [
        ...isIpv6(),
        ...isRedirected(),
        payload("network", 8, 16),
        payload("network", 24, 16, slot(4)),
        isIn("selves6"),
        masquerade(),
      ],
      [
        ...isIpv4(),
        payload("network", 12, 1),
        compare("==", LOOPBACK4),
        ...to("bridges"),
        masquerade(),
      ],
      [...from("masqueraded"), ...to("bridges", true), masquerade()],
    ],
  },
  // A bridge has route_localnet, for the answers to the host's own loopback (CVE-2020-8558).
  raw: {
    base: { type: "filter", hook: "prerouting", priority: -300 },
    rules: [
      [
        ...isIpv4(),
        payload("network", 16, 1),
        compare("==", LOOPBACK4),
        ...from("bridges"),
        verdict("drop"),
      ],
    ],
  },
  forward: {
    base: { type: "filter", hook: "forward", priority: 0 },
    rules: [
      [...to("bridges"), verdict("jump", "toward")],
      [...from("internal"), verdict("drop")],
    ],
  },
  input: {
    base: { type: "filter", hook: "input", priority: 0 },
    rules: [[...from("internal"), ...isForHost("!=", true), verdict("drop")]],
  },
});

const isEtherType = (type: Uint8Array) => [meta("protocol"), compare("==", type)];
const isIcmpv6 = (type: Uint8Array) => [
  ...isEtherType(ETH_P_IPV6),
  meta("l4proto"),
  compare("==", IPPROTO_ICMPV6),
  payload("transport", 0, 1),
  compare("==", type),
];
/** @param hardware where the frame has the hardware address, @param address and the IP address */
const isOwn = (
  set: "sources4" | "sources6",
  hardware: readonly ["link" | "network", number],
  address: readonly ["network" | "transport", number],
) => [
  meta("iifname"),
  payload(...hardware, 6, slot(4)),
  payload(...address, set === "sources4" ? 4 : 16, slot(6)),
  isIn(set),
];

/** What a container may send: from its own addresses, and about them (ARP, RFC 826; ND, RFC 4861). */
const bridgeChains = (): Readonly<Record<string, Chain>> => ({
  sender: {
    rules: [
      [
        ...isEtherType(ETH_P_IP),
        ...isOwn("sources4", ["link", 6], ["network", 12]),
        verdict("accept"),
      ],
      [
        ...isEtherType(ETH_P_ARP),
        ...isOwn("sources4", ["link", 6], ["network", 14]),
        ...isOwn("sources4", ["network", 8], ["network", 14]),
        verdict("accept"),
      ],
      // CVE-2020-13401: nobody here is a router.
      [...isIcmpv6(ROUTER_ADVERTISEMENT), verdict("drop")],
      [
        ...isIcmpv6(NEIGHBOR_ADVERTISEMENT),
        ...isOwn("sources6", ["link", 6], ["transport", 8]),
        verdict("accept"),
      ],
      [...isIcmpv6(NEIGHBOR_ADVERTISEMENT), verdict("drop")],
      [
        ...isEtherType(ETH_P_IPV6),
        ...isOwn("sources6", ["link", 6], ["network", 8]),
        verdict("accept"),
      ],
      ...[NEIGHBOR_SOLICITATION, MULTICAST_REPORT].map((type) => [
        ...isIcmpv6(type),
        payload("network", 8, 16),
        compare("==", UNSPECIFIED6),
        verdict("accept"),
      ]),
      [verdict("drop")],
    ],
  },
  prerouting: {
    base: { type: "filter", hook: "prerouting", priority: -300 },
    rules: [[...from("links"), verdict("goto", "sender")]],
  },
});

function tableFrom(
  table: Table,
  sets: Readonly<Record<string, SetType>>,
  chains: Readonly<Record<string, Chain>>,
): Request[] {
  return [
    newTable(table),
    deleteTable(table),
    newTable(table),
    ...Object.entries(sets).map(([name, type], index) => newSet(table, name, type, index + 1)),
    ...Object.entries(chains).map(([name, { base }]) => newChain(table, name, base)),
    ...Object.entries(chains).flatMap(([name, { rules }]) =>
      rules.map((rule) => newRule(table, name, rule)),
    ),
  ];
}

/** A transaction that makes the table for IP anew, whatever was in it. */
export const inetTable = ({ inet }: Tables): Request[] => tableFrom(inet, SETS.inet, inetChains());

/** The same for what comes out of containers. */
export const bridgeTable = ({ bridge }: Tables): Request[] =>
  tableFrom(bridge, SETS.bridge, bridgeChains());

/** What the firewall has of a network. */
export function networkElements(network: Network): SetElement[] {
  const { link, internal } = network;
  if (network.driver !== "bridge") return [];
  const masquerades = optionIsOn(network, "com.docker.network.bridge.enable_ip_masquerade", true);
  const connects = optionIsOn(network, "com.docker.network.bridge.enable_icc", true);
  return [
    { set: "bridges", key: [link] },
    ...(internal ? [{ set: "internal", key: [link] }] : []),
    ...(!internal && masquerades ? [{ set: "masqueraded", key: [link] }] : []),
    ...(connects ? [{ set: "within", key: [link, link] }] : []),
  ];
}

const bytesOf = (ip: string): Uint8Array => parseIp(ip.replace(/\/.*/, "")) as Uint8Array;

/** The bytes of a hardware address. */
export const hardwareAddress = (mac: string): Uint8Array =>
  Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16));

/** What the bridges' table has of a container's connection. */
export function endpointElements({ link, mac, ip, ip6 }: Endpoint): SetElement[] {
  const hardware = hardwareAddress(mac);
  return [
    { set: "links", key: [link] },
    ...(ip === undefined ? [] : [{ set: "sources4", key: [link, hardware, bytesOf(ip)] }]),
    ...(ip6 === undefined
      ? []
      : [bytesOf(ip6), linkLocal(hardware)].map((address) => ({
          set: "sources6",
          key: [link, hardware, address],
        }))),
  ];
}

/** The address that the kernel makes of a hardware address (RFC 4291, appendix A). */
export function linkLocal(mac: Uint8Array): Uint8Array {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac;
  return Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f);
}

/** Numbers of IP's protocols (/etc/protocols). */
export const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;

const portBytes = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 0xff);

/** What the firewall has of the addresses of a container with published ports. */
export const selfElements = ({ ip, ip6 }: Endpoint): SetElement[] => [
  ...(ip === undefined ? [] : [{ set: "selves4", key: [bytesOf(ip), bytesOf(ip)] }]),
  ...(ip6 === undefined ? [] : [{ set: "selves6", key: [bytesOf(ip6), bytesOf(ip6)] }]),
];

/** What the firewall has of a published port: nothing of one that leads from IPv6 to IPv4, or nowhere. */
export function portElements(port: PublishedPort): SetElement[] {
  if (port.ip === "" || (port.version === 6 && !port.ip.includes(":"))) return [];
  const key = [Uint8Array.of(PROTOCOLS[port.protocol]), portBytes(port.hostPort)];
  const value = [bytesOf(port.ip), portBytes(port.port)];
  return [
    port.hostIp === undefined
      ? { set: `ports${port.version}`, key, value }
      : { set: `ports${port.version}at`, key: [bytesOf(port.hostIp), ...key], value },
  ];
}
