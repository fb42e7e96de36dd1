/** DNS messages, as far as a resolver that answers some questions and passes on the others needs them (RFC 1035, RFC 6891). */

/** Types of records. */
export const TYPE = { A: 1, PTR: 12, AAAA: 28 } as const;
const TYPE_OPT = 41;
const CLASS_IN = 1;
/** What an answer says of how it went. */
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4 } as const;

const HEADER = 12;
/** What every client takes (RFC 1035, 4.2.1). */
const USUAL_SIZE = 512;
/** Seconds, as Docker's. */
const TTL = 600;
/** The name that was asked for, at the beginning of the question. */
const NAME_POINTER = [0xc0, HEADER];
const FLAG = { response: 0x80, truncated: 0x02, recursionDesired: 0x01, recursionAvailable: 0x80 };

/** What somebody asks. */
export interface Question {
  /** in small letters, without the last dot; bytes of labels as Latin-1 */
  readonly name: string;
  readonly type: number;
  readonly isInternet: boolean;
  /** where it ends in the message */
  readonly end: number;
  /** how long an answer by datagram may be */
  readonly size: number;
}

/** The question of a query. @returns undefined for what is no query with one question */
export function parseQuery(message: Uint8Array): Question | undefined {
  if (message.length < HEADER) return undefined;
  const at16 = (at: number): number => ((message[at] ?? 0) << 8) | (message[at + 1] ?? 0);
  const isQuery = ((message[2] ?? 0) & (FLAG.response | 0x78)) === 0;
  if (!isQuery || at16(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = HEADER;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return undefined; // a question is not compressed
    at++;
    if (length === 0) break;
    if (at + length > message.length) return undefined;
    labels.push(String.fromCharCode(...message.subarray(at, at + length)));
    at += length;
  }
  if (at - HEADER > 255 || at + 4 > message.length) return undefined;
  const end = at + 4;
  const hasNoOthers = at16(6) === 0 && at16(8) === 0 && at16(10) > 0;
  const isOpt = hasNoOthers && message[end] === 0 && at16(end + 1) === TYPE_OPT;
  return {
    name: labels.join(".").toLowerCase(),
    type: at16(at),
    isInternet: at16(at + 2) === CLASS_IN,
    end,
    size: isOpt ? Math.max(USUAL_SIZE, at16(end + 3)) : USUAL_SIZE,
  };
}

/** What is said of the name that was asked for. */
export interface AnswerRecord {
  readonly type: number;
  readonly data: Uint8Array;
}

/**
 * The answer to a query.
 * @param limit how long it may be: what does not fit is left out, and that is said
 */
export function buildAnswer(
  query: Uint8Array,
  question: Question | undefined,
  rcode: number,
  records: readonly AnswerRecord[] = [],
  limit = 0xffff,
): Uint8Array {
  const end = question?.end ?? HEADER;
  const parts: number[] = [...query.subarray(0, end)];
  while (parts.length < HEADER) parts.push(0);
  let count = 0;
  for (const { type, data } of records) {
    const ttl = [TTL >>> 24, TTL >>> 16, TTL >>> 8, TTL].map((byte) => byte & 0xff);
    const head = [...NAME_POINTER, type >> 8, type & 0xff, 0, CLASS_IN, ...ttl];
    if (parts.length + head.length + 2 + data.length > limit) break;
    parts.push(...head, data.length >> 8, data.length & 0xff, ...data);
    count++;
  }
  const answer = Uint8Array.from(parts);
  const isCut = count < records.length;
  answer[2] =
    ((query[2] ?? 0) & (0x78 | FLAG.recursionDesired)) |
    FLAG.response |
    (isCut ? FLAG.truncated : 0);
  answer[3] = FLAG.recursionAvailable | rcode;
  answer.set([0, question === undefined ? 0 : 1, count >> 8, count & 0xff, 0, 0, 0, 0], 4);
  return answer;
}

/** Whether something is the answer to a query that was passed on: its id, and its question. */
export function answersQuery(answer: Uint8Array, query: Uint8Array, { end }: Question): boolean {
  if (answer.length < HEADER || ((answer[2] ?? 0) & FLAG.response) === 0) return false;
  if (answer[0] !== query[0] || answer[1] !== query[1]) return false;
  if (answer[5] === 0) return true; // some refuse without repeating the question
  const asked = (message: Uint8Array) => message.subarray(HEADER, end);
  const small = (byte: number) => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte);
  const other = asked(query);
  return (
    answer.length >= end && asked(answer).every((byte, at) => small(byte) === small(other[at] ?? 0))
  );
}

/** A name in a message. */
export function encodeName(name: string): Uint8Array {
  const bytes = name
    .split(".")
    .filter((label) => label !== "")
    .flatMap((label) => {
      const encoded = [...new TextEncoder().encode(label)].slice(0, 63);
      return [encoded.length, ...encoded];
    });
  return Uint8Array.from([...bytes, 0]);
}

/** The address that a question for a name in `in-addr.arpa` or `ip6.arpa` is about, as bytes. */
export function reverseAddress(name: string): Uint8Array | undefined {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  if (four !== null) {
    const numbers = four.slice(1).reverse().map(Number);
    return numbers.every((number) => number < 256) ? Uint8Array.from(numbers) : undefined;
  }
  const six = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)?.[1];
  if (six === undefined) return undefined;
  const digits = six.split(".").reverse().join("");
  return Uint8Array.from({ length: 16 }, (_, at) =>
    Number.parseInt(digits.slice(at * 2, at * 2 + 2), 16),
  );
}
