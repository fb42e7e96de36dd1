/** What the host's own firewall closes, which published ports would open (docs/decisions/firewall.md). */
import { SysError } from "../ffi/call.ts";
import { type BaseChain, getChains, parseBaseChain } from "../netlink/nft_chain.ts";
import { FAMILY, HOOK } from "../netlink/nft_message.ts";
import { NftSocket } from "../netlink/nft_socket.ts";

const FAMILIES: Readonly<Record<number, string>> = {
  [FAMILY.inet]: "inet",
  [FAMILY.ipv4]: "ip",
  [FAMILY.ipv6]: "ip6",
};

/** The chain that lets in only what it allows, as nft(8) calls it; firewalld's ends in a rule instead of a policy. */
export function closedInput(chains: readonly BaseChain[]): string | undefined {
  const found = chains.find(
    ({ family, table, type, hook, drops }) =>
      type === "filter" &&
      hook === HOOK.input &&
      FAMILIES[family] !== undefined &&
      (drops || table === "firewalld"),
  );
  return found && `${FAMILIES[found.family]} ${found.table} ${found.name}`;
}

/** That chain of this host; undefined when there is none, or when nobody can say. */
export function hostClosedInput(): string | undefined {
  try {
    using socket = new NftSocket();
    return closedInput(socket.dump(getChains()).flatMap((each) => parseBaseChain(each) ?? []));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return undefined; // no nf_tables: what publishes says so
  }
}
