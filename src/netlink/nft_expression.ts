/** Expressions of nf_tables' rules (linux/netfilter/nf_tables.h): a rule is a list of them. */
import { type Attribute, bytes, nested, text } from "./attributes.ts";
import { be32, FAMILY } from "./nft_message.ts";

const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_VERDICT_CHAIN = 2;
const NFT_REG_VERDICT = 0;

/** An expression as a rule has it: its name and what is particular to it. */
export type Expression = Attribute[];

const expression = (name: string, attributes: readonly Attribute[]): Expression => [
  text(NFTA_EXPR_NAME, name),
  nested(NFTA_EXPR_DATA, attributes),
];

/**
 * Registers. There are four of 16 bytes, and the same memory as sixteen of 4: `slot(0)` is the
 * first of these.
 */
export const slot = (index: number): number => 8 + index;

/** enum nft_meta_keys */
const META = { protocol: 1, iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;

/** Loads a property of a packet. */
export const meta = (key: keyof typeof META, register = slot(0)): Expression =>
  expression("meta", [be32(1, register), be32(2, META[key])]);

const BASE = { link: 0, network: 1, transport: 2 } as const;

/** Loads bytes of a packet, counted from the beginning of a header. */
export const payload = (
  base: keyof typeof BASE,
  offset: number,
  length: number,
  register = slot(0),
): Expression =>
  expression("payload", [be32(1, register), be32(2, BASE[base]), be32(3, offset), be32(4, length)]);

const CT = { state: 0, status: 2 } as const;

/** Goes on if a connection's property has one of these bits. */
export function connection(key: keyof typeof CT, bits: number): Expression[] {
  const mask = new Uint8Array(4);
  new DataView(mask.buffer).setUint32(0, bits, true);
  const value = (type: number, data: Uint8Array) => nested(type, [bytes(NFTA_DATA_VALUE, data)]);
  const register = slot(0);
  return [
    expression("ct", [be32(1, register), be32(2, CT[key])]),
    expression("bitwise", [
      be32(1, register),
      be32(2, register),
      be32(3, mask.length),
      value(4, mask),
      value(5, new Uint8Array(mask.length)),
    ]),
    compare("!=", new Uint8Array(mask.length)),
  ];
}

/** Goes on if a register equals, or does not equal, these bytes. */
export const compare = (operator: "==" | "!=", value: Uint8Array, register = slot(0)): Expression =>
  expression("cmp", [
    be32(1, register),
    be32(2, operator === "==" ? 0 : 1),
    nested(3, [bytes(NFTA_DATA_VALUE, value)]),
  ]);

/** Goes on if what begins in the first register is, or is not, in a set. */
export const isIn = (set: string, inverted = false): Expression =>
  expression("lookup", [text(1, set), be32(2, slot(0)), ...(inverted ? [be32(5, 1)] : [])]);

/** Looks what begins in the first register up in a map; the value takes its place. */
export const lookUp = (map: string): Expression =>
  expression("lookup", [text(1, map), be32(2, slot(0)), be32(3, slot(0))]);

const NFT_FIB_RESULT_ADDRTYPE = 3;
const NFTA_FIB_F_DADDR = 2;
const NFTA_FIB_F_IIF = 8;
const RTN_LOCAL = Uint8Array.of(2, 0, 0, 0);

/** Goes on if the destination is, or is not, an address of this host; `onDevice`: of the device it came in by. */
export const isForHost = (operator: "==" | "!=" = "==", onDevice = false): Expression[] => [
  expression("fib", [
    be32(1, slot(0)),
    be32(2, NFT_FIB_RESULT_ADDRTYPE),
    be32(3, NFTA_FIB_F_DADDR | (onDevice ? NFTA_FIB_F_IIF : 0)),
  ]),
  compare(operator, RTN_LOCAL),
];

/** Puts bytes into a register. */
export const load = (value: Uint8Array, register = slot(0)): Expression =>
  expression("immediate", [be32(1, register), nested(2, [bytes(NFTA_DATA_VALUE, value)])]);

const NFT_NAT_DNAT = 1;

/** Sends a connection to the address in one register, and the port in another. */
export const redirect = (family: "ipv4" | "ipv6", address: number, port: number): Expression =>
  expression("nat", [
    be32(1, NFT_NAT_DNAT),
    be32(2, FAMILY[family]),
    be32(3, address),
    be32(5, port),
  ]);

/** Gives a connection the address of the device that it goes out by. */
export const masquerade = (): Expression => expression("masq", []);

const VERDICT = { drop: 0, accept: 1, jump: -3, goto: -4 } as const;

/** The end of a rule. @param chain where to, for `jump` and `goto` */
export const verdict = (what: keyof typeof VERDICT, chain?: string): Expression =>
  expression("immediate", [
    be32(1, NFT_REG_VERDICT),
    nested(2, [
      nested(NFTA_DATA_VERDICT, [
        be32(NFTA_VERDICT_CODE, VERDICT[what]),
        ...(chain === undefined ? [] : [text(NFTA_VERDICT_CHAIN, chain)]),
      ]),
    ]),
  ]);
