import { describe, expect, test } from "bun:test";
import {
  answersQuery,
  buildAnswer,
  encodeName,
  parseQuery,
  RCODE,
  reverseAddress,
  TYPE,
} from "./dns_message.ts";

/** A query as dig(1) sends it: `Web.Example`, type A, with or without EDNS. */
function query(name: string, options: { type?: number; edns?: number } = {}): Uint8Array {
  const { type = TYPE.A, edns } = options;
  const opt = edns === undefined ? [] : [0, 0, 41, edns >> 8, edns & 0xff, 0, 0, 0, 0, 0, 0];
  const head = [0x12, 0x34, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, edns === undefined ? 0 : 1];
  return Uint8Array.from([...head, ...encodeName(name), 0, type, 0, 1, ...opt]);
}

describe("a query", () => {
  test("is read: name in small letters, type, room for the answer", () => {
    expect(parseQuery(query("Web.Example"))).toEqual({
      ...{ name: "web.example", type: 1, isInternet: true, end: 29, size: 512 },
    });
    expect(parseQuery(query("web", { type: TYPE.AAAA, edns: 1232 }))).toMatchObject({
      ...{ name: "web", type: 28, size: 1232 },
    });
    expect(parseQuery(query("web", { edns: 1 }))?.size).toBe(512);
    expect(parseQuery(query(""))?.name).toBe("");
  });

  test("is refused when it is cut off anywhere, compressed, an answer, or has two questions", () => {
    const whole = query("a.web.example");
    for (let length = 0; length < whole.length; length++)
      expect(parseQuery(whole.subarray(0, length))).toBeUndefined();
    const change = (at: number, byte: number) => {
      const changed = whole.slice();
      changed[at] = byte;
      return parseQuery(changed);
    };
    expect(change(12, 0xc0)).toBeUndefined();
    expect(change(2, 0x80)).toBeUndefined();
    expect(change(5, 2)).toBeUndefined();
  });

  test("of any bytes is read or refused, and never makes an error", () => {
    for (let round = 0; round < 20_000; round++) {
      const bytes = query("some.name", { edns: 4096 });
      for (let change = 0; change < 4; change++)
        bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256);
      const question = parseQuery(bytes);
      expect(buildAnswer(bytes, question, RCODE.SERVFAIL).length).toBeGreaterThanOrEqual(12);
    }
  });
});

describe("an answer", () => {
  test("repeats the question and has the records", () => {
    const asked = query("web");
    const records = [{ type: TYPE.A, data: Uint8Array.of(10, 0, 0, 2) }];
    expect([...buildAnswer(asked, parseQuery(asked), RCODE.NOERROR, records)]).toEqual([
      ...[0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 3, 119, 101, 98, 0, 0, 1, 0, 1],
      ...[0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 0, 0, 2],
    ]);
  });

  test("that is too long is cut between records, and says so", () => {
    const asked = query("web");
    const record = { type: TYPE.A, data: Uint8Array.of(10, 0, 0, 2) };
    const records = Array.from({ length: 100 }, () => record);
    const answer = buildAnswer(asked, parseQuery(asked), RCODE.NOERROR, records, 512);
    expect(answer.length).toBe(21 + 30 * 16);
    expect((answer[2] as number) & 2).toBe(2);
    expect(answer[7]).toBe(30);
  });

  test("belongs to a query by its id and its question", () => {
    const asked = query("web");
    const question = parseQuery(asked) as NonNullable<ReturnType<typeof parseQuery>>;
    const answer = buildAnswer(asked, question, RCODE.NXDOMAIN);
    expect(answersQuery(answer, asked, question)).toBe(true);
    expect(answersQuery(asked, asked, question)).toBe(false);
    expect(answersQuery(answer.with(0, 9), asked, question)).toBe(false);
    expect(answersQuery(answer.with(13, 0x58), asked, question)).toBe(false);
  });
});

test.each([
  ["2.0.17.172.in-addr.arpa", [172, 17, 0, 2]],
  ["2.0.17.372.in-addr.arpa", undefined],
  ["0.17.172.in-addr.arpa", undefined],
  [`${"0.".repeat(31)}f.ip6.arpa`, [0xf0, ...new Array(15).fill(0)]],
])("%s is about %j", (name, address) => {
  const found = reverseAddress(name);
  expect(found && [...found]).toEqual(address as number[] | undefined);
});
