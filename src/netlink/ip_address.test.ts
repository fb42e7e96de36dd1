import { expect, test } from "bun:test";
import { formatIp, parseIp } from "./ip_address.ts";

test.each([
  ["0.0.0.0", "00000000"],
  ["172.17.0.1", "ac110001"],
  ["255.255.255.255", "ffffffff"],
  ["::", "00000000000000000000000000000000"],
  ["::1", "00000000000000000000000000000001"],
  ["fe80::", "fe800000000000000000000000000000"],
  ["2001:db8::8:800:200c:417a", "20010db80000000000080800200c417a"],
  ["2001:db8:0:1:1:1:1:1", "20010db8000000010001000100010001"],
  ["2001:0:0:1::1", "20010000000000010000000000000001"],
  ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
])("%s is read and written", (text, hex) => {
  const address = parseIp(text);
  expect(Buffer.from(address ?? []).toString("hex")).toBe(hex);
  expect(formatIp(address as Uint8Array)).toBe(text);
});

test.each([
  ["2001:DB8::0:1", "2001:db8::1"],
  ["0:0:0:0:0:0:0:0", "::"],
  ["::ffff:10.0.0.1", "::ffff:a00:1"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
])("%s is another way to write %s", (text, usual) => {
  expect(formatIp(parseIp(text) as Uint8Array)).toBe(usual);
});

test.each([
  "",
  "10.0.0",
  "10.0.0.256",
  "10.0.0.01",
  "10.0.0.1/8",
  " 10.0.0.1",
  ":",
  ":::",
  "1:2",
  "1::2::3",
  "1:2:3:4:5:6:7::8",
  "1:2:3:4:5:6:7:8:9",
  "12345::",
  "fe80::1%eth0",
  "1.2.3.4::",
  "g::",
])("%p is no address", (text) => {
  expect(parseIp(text)).toBeUndefined();
});
