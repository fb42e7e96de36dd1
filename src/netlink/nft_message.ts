/** What nf_tables is told (nfnetlink, linux/netfilter/nf_tables.h): tables, chains, sets and their elements. */
import type { CallArgs } from "../ffi/call.ts";
import { type Attribute, bytes, concat, encodeAttributes, nested, text } from "./attributes.ts";
import { NLM_F_CREATE, type Request } from "./message.ts";

const NFNL_SUBSYS_NFTABLES = 10;

/** NFPROTO_*: which packets a table sees. */
export const FAMILY = { inet: 1, ipv4: 2, bridge: 7, ipv6: 10 } as const;
/** The family of a table of ours. */
export type Family = keyof typeof FAMILY;

const NFT_MSG = {
  NEWTABLE: 0,
  DELTABLE: 2,
  NEWCHAIN: 3,
  NEWRULE: 6,
  NEWSET: 9,
  NEWSETELEM: 12,
  DELSETELEM: 14,
} as const;

// enum nft_list_attributes, nft_table_attributes, nft_chain_attributes, nft_hook_attributes, …
const NFTA_LIST_ELEM = 1;
const NFTA_TABLE_NAME = 1;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_TYPE = 7;
const NFTA_HOOK_HOOKNUM = 1;
const NFTA_HOOK_PRIORITY = 2;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_SET_TABLE = 1;
const NFTA_SET_NAME = 2;
const NFTA_SET_FLAGS = 3;
const NFTA_SET_KEY_TYPE = 4;
const NFTA_SET_KEY_LEN = 5;
const NFTA_SET_DATA_TYPE = 6;
const NFTA_SET_DATA_LEN = 7;
const NFTA_SET_ID = 10;
const NFTA_SET_USERDATA = 13;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_DATA_VALUE = 1;
const NFT_SET_MAP = 8;

const NLM_F_APPEND = 0x800;

/** Hooks of the IP families and of bridges (enum nf_inet_hooks). */
export const HOOK = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

/** A table of ours. */
export interface Table {
  readonly family: Family;
  readonly name: string;
}

/** A number in network byte order, as nf_tables has them. */
export function be32(type: number, value: number): Attribute {
  const encoded = new Uint8Array(4);
  new DataView(encoded.buffer).setInt32(0, value | 0);
  return { type, value: encoded };
}

function message(
  kind: keyof typeof NFT_MSG,
  { family, name }: Table,
  flags: number,
  attributes: readonly Attribute[],
  args: CallArgs = {},
): Request {
  // struct nfgenmsg: family, version, resource
  const header = Uint8Array.of(FAMILY[family], 0, 0, 0);
  return {
    type: (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG[kind],
    flags,
    body: concat([header, encodeAttributes(attributes)]),
    operation: `NFT_MSG_${kind}`,
    args: { name, ...args },
  };
}

/** Makes a table; one that is there is fine. */
export const newTable = (table: Table): Request =>
  message("NEWTABLE", table, NLM_F_CREATE, [text(NFTA_TABLE_NAME, table.name)]);

/** Removes a table and all that is in it. */
export const deleteTable = (table: Table): Request =>
  message("DELTABLE", table, 0, [text(NFTA_TABLE_NAME, table.name)]);

/** Where packets come into a chain. */
export interface BaseHook {
  readonly type: "filter" | "nat";
  readonly hook: keyof typeof HOOK;
  readonly priority: number;
}

/** Makes a chain. @param base absent: others jump to it */
export function newChain(table: Table, name: string, base?: BaseHook): Request {
  const hooked =
    base === undefined
      ? []
      : [
          nested(NFTA_CHAIN_HOOK, [
            be32(NFTA_HOOK_HOOKNUM, HOOK[base.hook]),
            be32(NFTA_HOOK_PRIORITY, base.priority),
          ]),
          text(NFTA_CHAIN_TYPE, base.type),
        ];
  return message(
    "NEWCHAIN",
    table,
    NLM_F_CREATE,
    [text(NFTA_CHAIN_TABLE, table.name), text(NFTA_CHAIN_NAME, name), ...hooked],
    { chain: name },
  );
}

/** Appends a rule to a chain. @param expressions of nft_expression.ts */
export const newRule = (
  table: Table,
  chain: string,
  expressions: readonly Attribute[][],
): Request =>
  message(
    "NEWRULE",
    table,
    NLM_F_CREATE | NLM_F_APPEND,
    [
      text(NFTA_RULE_TABLE, table.name),
      text(NFTA_RULE_CHAIN, chain),
      nested(
        NFTA_RULE_EXPRESSIONS,
        expressions.map((expression) => nested(NFTA_LIST_ELEM, expression)),
      ),
    ],
    { chain },
  );

/** Types of keys and values: what nft(8) calls them, how long they are, its number for them (datatype.h). */
export const DATATYPE = {
  ipv4_addr: { length: 4, number: 7 },
  ipv6_addr: { length: 16, number: 8 },
  ether_addr: { length: 6, number: 9 },
  inet_proto: { length: 1, number: 12 },
  inet_service: { length: 2, number: 13 },
  ifname: { length: 16, number: 41 },
} as const;
/** One of them. */
export type Datatype = keyof typeof DATATYPE;

/** What is in a set, or a map. */
export interface SetType {
  readonly key: readonly Datatype[];
  /** Of a map. */
  readonly data?: readonly Datatype[];
}

const padded = (length: number): number => (length + 3) & ~3;

/** Bits of a part of a joint type's number. */
const TYPE_BITS = 6;

function typeOf(parts: readonly Datatype[]): { number: number; length: number } {
  let [number, length] = [0, 0];
  for (const part of parts) {
    number = (number << TYPE_BITS) | DATATYPE[part].number;
    length += parts.length === 1 ? DATATYPE[part].length : padded(DATATYPE[part].length);
  }
  return { number, length };
}

/**
 * For nft(8), which shows them: the byte order of a key, and of a value (libnftnl's udata.h). Names of
 * devices are in the machine's, all else in the network's.
 */
function byteOrders({ key, data }: SetType): Uint8Array {
  const [HOST, NETWORK] = [1, 2];
  const order = (type: number, parts: readonly Datatype[]) => [
    ...[type, 4],
    ...[parts.length === 1 && parts[0] === "ifname" ? HOST : NETWORK, 0, 0, 0],
  ];
  return Uint8Array.from([...order(0, key), ...(data === undefined ? [] : order(1, data))]);
}

/** Makes a set, or a map. @param id is not used twice in a transaction */
export function newSet(table: Table, name: string, type: SetType, id: number): Request {
  const { key, data } = type;
  const [keys, values] = [typeOf(key), data && typeOf(data)];
  return message(
    "NEWSET",
    table,
    NLM_F_CREATE,
    [
      text(NFTA_SET_TABLE, table.name),
      text(NFTA_SET_NAME, name),
      be32(NFTA_SET_FLAGS, values === undefined ? 0 : NFT_SET_MAP),
      be32(NFTA_SET_KEY_TYPE, keys.number),
      be32(NFTA_SET_KEY_LEN, keys.length),
      ...(values === undefined
        ? []
        : [be32(NFTA_SET_DATA_TYPE, values.number), be32(NFTA_SET_DATA_LEN, values.length)]),
      be32(NFTA_SET_ID, id),
      bytes(NFTA_SET_USERDATA, byteOrders(type)),
    ],
    { set: name },
  );
}

/** An element: the parts of its key, and of its value in a map. Names of devices are texts. */
export interface SetElement {
  readonly set: string;
  readonly key: readonly (Uint8Array | string)[];
  readonly value?: readonly Uint8Array[];
}

/** Parts one after the other, each padded unless it is alone. */
function joint(parts: readonly (Uint8Array | string)[]): Uint8Array {
  const values = parts.map((part) => {
    if (typeof part !== "string") return part;
    const name = new Uint8Array(DATATYPE.ifname.length);
    name.set(new TextEncoder().encode(part));
    return name;
  });
  if (values.length === 1) return values[0] as Uint8Array;
  const whole = new Uint8Array(values.reduce((sum, { length }) => sum + padded(length), 0));
  let at = 0;
  for (const value of values) {
    whole.set(value, at);
    at += padded(value.length);
  }
  return whole;
}

function elements(
  kind: "NEWSETELEM" | "DELSETELEM",
  table: Table,
  { set, key, value }: SetElement,
): Request {
  const data = (type: number, parts: readonly (Uint8Array | string)[]) =>
    nested(type, [bytes(NFTA_DATA_VALUE, joint(parts))]);
  const element = nested(NFTA_LIST_ELEM, [
    data(NFTA_SET_ELEM_KEY, key),
    ...(value === undefined ? [] : [data(NFTA_SET_ELEM_DATA, value)]),
  ]);
  return message(
    kind,
    table,
    kind === "NEWSETELEM" ? NLM_F_CREATE : 0,
    [
      text(NFTA_SET_ELEM_LIST_TABLE, table.name),
      text(NFTA_SET_ELEM_LIST_SET, set),
      nested(NFTA_SET_ELEM_LIST_ELEMENTS, [element]),
    ],
    { set },
  );
}

/** Adds an element to a set; one that is there with the same value is fine. */
export const addElement = (table: Table, element: SetElement): Request =>
  elements("NEWSETELEM", table, element);

/** Removes an element from a set. */
export const removeElement = (table: Table, element: SetElement): Request =>
  elements("DELSETELEM", table, element);
