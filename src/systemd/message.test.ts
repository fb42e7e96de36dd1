import { describe, expect, test } from "bun:test";
import { decodeMessage, encodeCall, KIND, type Value } from "./message.ts";

const call = (signature: string, values: readonly Value[], serial = 1) =>
  encodeCall({
    serial,
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "GetUnit",
    signature,
    values,
  });

const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);

describe("a call", () => {
  test("is laid out as the specification has it", () => {
    const bytes = call("s", ["a.service"], 0x102);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    expect([...bytes.subarray(0, 4)]).toEqual([0x6c, 1, 0, 1]);
    expect([4, 8].map((at) => view.getUint32(at, true))).toEqual([14, 0x102]);
    const fields = view.getUint32(12, true);
    const bodyAt = Math.ceil((16 + fields) / 8) * 8;
    expect(bytes.length).toBe(bodyAt + 14);
    expect(text(bytes.subarray(bodyAt))).toBe("\x09\0\0\0a.service\0");
    // Each field: its code, the signature of its value, the value; the next at a multiple of 8.
    expect(text(bytes.subarray(16, 24))).toBe("\x01\x01o\0\x19\0\0\0");
    expect(text(bytes.subarray(24, 50))).toBe("/org/freedesktop/systemd1\0");
    expect(text(bytes.subarray(56, 64))).toBe("\x02\x01s\0\x20\0\0\0");
  });

  test("comes back as it was, whatever its types", () => {
    const signature = "ybnqiuxtdsoga(sv)a{su}aayat(y(q))";
    const values: Value[] = [
      7,
      true,
      0x7ffe,
      65535,
      -5,
      2 ** 32 - 1,
      -(2n ** 40n),
      2n ** 64n - 1n,
      0.5,
      "name \udcff é",
      "/a",
      "a(sv)",
      [
        ["PIDs", { signature: "au", value: [1, 2] }],
        ["Delegate", { signature: "b", value: true }],
      ],
      [["one", 1]],
      [[1, 2], [], [3]],
      [],
      [1, [2]],
    ];
    const decoded = decodeMessage(call(signature, values));
    expect(decoded?.message).toMatchObject({ kind: KIND.call, member: "GetUnit", values });
  });

  test("of an empty array of structs is aligned all the same", () => {
    const bytes = call("sa(sv)", ["abc", []]);
    expect(decodeMessage(bytes)?.message.values).toEqual(["abc", []]);
    expect(new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true)).toBe(16);
  });
});

describe("what comes in", () => {
  const whole = call("su", ["a.service", 5]);

  test("is waited for until it is all there, and no further", () => {
    for (let length = 0; length < whole.length; length++)
      expect(decodeMessage(whole.subarray(0, length))).toBeUndefined();
    const two = new Uint8Array([...whole, ...whole.subarray(0, 20)]);
    expect(decodeMessage(two)?.length).toBe(whole.length);
  });

  test("is refused when it is no message, or a senseless one", () => {
    const changed = (at: number, ...to: number[]) => {
      const bytes = whole.slice();
      bytes.set(to, at);
      return () => decodeMessage(bytes);
    };
    expect(changed(0, 0x42)).toThrow("no message of D-Bus");
    expect(changed(3, 9)).toThrow("no message of D-Bus");
    expect(changed(4, 0xff, 0xff, 0xff, 0x7f)).toThrow("too long");
    // The path's length, and its type.
    expect(changed(20, 0xff, 0xff)).toThrow("cut off");
    expect(changed(18, 0x7a)).toThrow('D-Bus has no type "z"');
    expect(changed(18, 0x28)).toThrow("cut off"); // a struct that does not end
  });
});
