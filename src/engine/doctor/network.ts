/** What networks of containers need of the host: a firewall, forwarding, bridge netfilter. */
import { SysError } from "../../ffi/call.ts";
import { close, POLLIN, poll } from "../../linux/fd.ts";
import { ifExists, readFile, statIfExists } from "../../linux/file.ts";
import { openNetlink, receiveNetlink, sendNetlink } from "../../linux/netlink_socket.ts";
import { decodeMessages, encodeMessage, errorOf, NLMSG_ERROR } from "../../netlink/message.ts";
import { defineCheck, type Finding, ok, warning } from "./check.ts";

// linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
const NETLINK_NETFILTER = 12;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_GETGEN = 16;
/** sizeof(struct nfgenmsg) */
const SIZE_OF_NFGENMSG = 4;

/** Whether nf_tables answers, which loads it where it is a module; else the code of the error. */
function askNfTables(): string | undefined {
  let fd: number | undefined;
  try {
    fd = openNetlink(NETLINK_NETFILTER);
    const request = {
      type: (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN,
      flags: 0,
      body: new Uint8Array(SIZE_OF_NFGENMSG),
      operation: "NFT_MSG_GETGEN",
      args: {},
    };
    sendNetlink(fd, encodeMessage(request, 1), () => ({}));
    if (poll([{ fd, events: POLLIN, revents: 0 }], 1000) === 0) return "ETIMEDOUT";
    const buffer = new Uint8Array(8192);
    const [answer] = decodeMessages(buffer.subarray(0, receiveNetlink(fd, buffer)));
    if (answer?.type !== NLMSG_ERROR) return undefined;
    return errorOf(answer, request)?.code;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return error.code;
  } finally {
    if (fd !== undefined) close(fd);
  }
}

/** What there is to write rules by. */
export interface FirewallFacts {
  /** code of the error; absent: nf_tables is there */
  readonly nfTables?: string;
  /** the old iptables of the kernel's are loaded */
  readonly legacy: boolean;
}

const WHY_FIREWALL =
  "the way out of bridge networks is a rule of nftables; without, published ports hide the clients' addresses";

/** nftables, or the iptables that it replaces. */
export const firewall = defineCheck({
  name: "nftables",
  why: WHY_FIREWALL,
  read(): FirewallFacts {
    const refused = askNfTables();
    const legacy = statIfExists("/proc/net/ip_tables_names") !== undefined;
    return { legacy, ...(refused === undefined ? {} : { nfTables: refused }) };
  },
  judge({ nfTables, legacy }): Finding[] {
    if (nfTables === undefined) {
      const beside = legacy ? "; the old ip_tables are loaded beside it" : "";
      return [ok("nftables", `the kernel has nf_tables${beside}`, WHY_FIREWALL)];
    }
    const instead = legacy
      ? "only the old ip_tables of the kernel's"
      : "neither nf_tables nor ip_tables";
    const fix = "load it: `modprobe nf_tables`, or boot a kernel with CONFIG_NF_TABLES";
    return [warning("nftables", `${instead} (${nfTables})`, WHY_FIREWALL, fix)];
  },
});

/** Kernel parameters; absent: there is no such file. */
export interface ForwardingFacts {
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly bridge?: string;
}

const WHY_FORWARDING = "packets between bridge networks and the world are forwarded by the host";
const WHY_BRIDGE =
  "without it the firewall does not see what containers of one bridge send each other";

/** Forwarding, and filtering of bridges. */
export const forwarding = defineCheck({
  name: "IP forwarding",
  why: WHY_FORWARDING,
  read(): ForwardingFacts {
    const parameter = (name: string) => ifExists(() => readFile(`/proc/sys/net/${name}`))?.trim();
    const [ipv4, ipv6, bridge] = [
      "ipv4/ip_forward",
      "ipv6/conf/all/forwarding",
      "bridge/bridge-nf-call-iptables",
    ].map(parameter);
    return {
      ...(ipv4 === undefined ? {} : { ipv4 }),
      ...(ipv6 === undefined ? {} : { ipv6 }),
      ...(bridge === undefined ? {} : { bridge }),
    };
  },
  judge: ({ ipv4, ipv6, bridge }) => [
    judgeParameter(
      "IPv4 forwarding",
      "net.ipv4.ip_forward",
      ipv4,
      WHY_FORWARDING,
      "boot a kernel with CONFIG_INET",
    ),
    ...(ipv6 === undefined
      ? [ok("IPv6 forwarding", "this kernel has no IPv6", WHY_FORWARDING)]
      : [judgeParameter("IPv6 forwarding", "net.ipv6.conf.all.forwarding", ipv6, WHY_FORWARDING)]),
    judgeParameter(
      "bridge netfilter",
      "net.bridge.bridge-nf-call-iptables",
      bridge,
      WHY_BRIDGE,
      "load it: `modprobe br_netfilter`",
    ),
  ],
});

function judgeParameter(
  name: string,
  parameter: string,
  value: string | undefined,
  why: string,
  missing = "",
): Finding {
  if (value === undefined) return warning(name, `there is no ${parameter}`, why, missing);
  if (value !== "0") return ok(name, "on", why);
  const fix = `switch it on: \`sysctl -w ${parameter}=1\`, and for the next boot \`echo ${parameter}=1 > /etc/sysctl.d/60-mydocker.conf\``;
  return warning(name, "off", why, fix);
}
