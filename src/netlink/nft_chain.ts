/** The base chains that there are in nf_tables, everybody's (linux/netfilter/nf_tables.h). */
import { decodeAttributes, textOf } from "./attributes.ts";
import { type Message, NLM_F_DUMP, type Request } from "./message.ts";

const NFT_MSG_NEWCHAIN = 0x0a03;
const NFT_MSG_GETCHAIN = 0x0a04;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_CHAIN_TYPE = 7;
const NFTA_HOOK_HOOKNUM = 1;
const NF_DROP = 0;

/** A chain that packets come into by themselves. */
export interface BaseChain {
  /** NFPROTO_* */
  readonly family: number;
  readonly table: string;
  readonly name: string;
  readonly type: string;
  /** NF_INET_* */
  readonly hook: number;
  /** what no rule decides about is dropped */
  readonly drops: boolean;
}

/** Asks for all chains. */
export const getChains = (): Request => ({
  type: NFT_MSG_GETCHAIN,
  flags: NLM_F_DUMP,
  body: new Uint8Array(4),
  operation: "NFT_MSG_GETCHAIN",
  args: {},
});

const be32 = (bytes: Uint8Array | undefined): number | undefined =>
  bytes === undefined ? undefined : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);

/** @returns undefined for a chain that others jump to */
export function parseBaseChain({ type, body }: Message): BaseChain | undefined {
  if (type !== NFT_MSG_NEWCHAIN) return undefined;
  const found = decodeAttributes(body.subarray(4));
  const hook = found.get(NFTA_CHAIN_HOOK);
  if (hook === undefined) return undefined;
  return {
    family: body[0] ?? 0,
    table: textOf(found.get(NFTA_CHAIN_TABLE)) ?? "",
    name: textOf(found.get(NFTA_CHAIN_NAME)) ?? "",
    type: textOf(found.get(NFTA_CHAIN_TYPE)) ?? "",
    hook: be32(decodeAttributes(hook).get(NFTA_HOOK_HOOKNUM)) ?? -1,
    drops: be32(found.get(NFTA_CHAIN_POLICY)) === NF_DROP,
  };
}
