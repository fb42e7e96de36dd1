/** Messages as `ip` sends them, too (strace -e sendmsg), and the kernel's answers. */

import { describe, expect, test } from "bun:test";
import { deleteAddress, getAddresses, newAddress, parseAddress } from "./address.ts";
import { concat, decodeAttributes, encodeAttributes, nested, text, u32 } from "./attributes.ts";
import { parseIp } from "./ip_address.ts";
import { deleteLink, getLinks, newLink, parseLink, setLink } from "./link.ts";
import { decodeMessages, encodeMessage, errorOf, type Message, type Request } from "./message.ts";
import { deleteRoute, newRoute, parseRoute } from "./route.ts";

const ip = (address: string) => parseIp(address) as Uint8Array;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const unhex = (digits: string) => new Uint8Array(Buffer.from(digits.replaceAll(" ", ""), "hex"));
const sent = (request: Request) => hex(encodeMessage(request, 1));
/** What the kernel would say of what was asked for. */
const echoed = ({ type, body }: Request): Message => ({ type, flags: 0, seq: 1, body });

const ADDRESS = {
  local: ip("10.1.2.3"),
  prefixLength: 24,
  broadcast: ip("10.1.2.255"),
  scope: 0,
  flags: 0,
};

describe("requests", () => {
  test.each<[string, Request, string]>([
    [
      "ip link add va type veth peer name vb netns 7",
      newLink({ name: "va", kind: { type: "veth", peer: { name: "vb", namespace: { pid: 7 } } } }),
      `60000000 1000 0106 01000000 00000000  0000 0000 00000000 00000000 00000000
       0700 0300 76610000  3800 1280  0900 0100 7665746800 000000
       2800 0280  2400 0100  0000 0000 00000000 00000000 00000000
       0700 0300 76620000  0800 1300 07000000`,
    ],
    [
      "ip link add br0 mtu 1400 up type bridge forward_delay 200 stp_state 0",
      newLink({
        name: "br0",
        kind: { type: "bridge", forwardDelay: 200, stp: false },
        mtu: 1400,
        up: true,
      }),
      `54000000 1000 0106 01000000 00000000  0000 0000 00000000 01000000 01000000
       0800 0300 62723000  0800 0400 78050000  2400 1280  0b00 0100 62726964676500 00
       1400 0280  0800 0100 c8000000  0800 0500 00000000`,
    ],
    [
      "ip link add link 3 name e0 netns FD type macvlan mode bridge",
      newLink({
        name: "e0",
        link: 3,
        namespace: { fd: 5 },
        kind: { type: "macvlan", mode: 4 },
      }),
      `54000000 1000 0106 01000000 00000000  0000 0000 00000000 00000000 00000000
       0700 0300 65300000  0800 0500 03000000  0800 1c00 05000000
       1c00 1280  0c00 0100 6d6163766c616e00  0c00 0280 0800 0100 04000000`,
    ],
    [
      "ip link add link 3 name e0 type ipvlan mode l3 private",
      newLink({ name: "e0", link: 3, kind: { type: "ipvlan", mode: 1, flags: 1 } }),
      `54000000 1000 0106 01000000 00000000  0000 0000 00000000 00000000 00000000
       0700 0300 65300000  0800 0500 03000000
       2400 1280  0b00 0100 697076 6c616e0000  1400 0280 0600 0100 01000000 0600 0200 01000000`,
    ],
    [
      "ip link set dev 3 netns FD name eth0",
      setLink({ index: 3 }, { namespace: { fd: 5 } }, "eth0"),
      `34000000 1300 0100 01000000 00000000  0000 0000 03000000 00000000 00000000
       0800 1c00 05000000  0900 0300 6574683000 000000`,
    ],
    [
      "ip link del eth0",
      deleteLink({ name: "eth0" }),
      `2c000000 1100 0100 01000000 00000000  0000 0000 00000000 00000000 00000000
       0900 0300 6574683000 000000`,
    ],
    [
      "ip link show",
      getLinks(),
      `28000000 1200 0103 01000000 00000000  0000 0000 00000000 00000000 00000000
       0800 1d00 08000000`,
    ],
    [
      "ip addr add 10.1.2.3/24 broadcast 10.1.2.255 dev 3",
      newAddress(3, ADDRESS),
      `30000000 1400 0106 01000000 00000000  02 18 00 00 03000000
       0800 0200 0a010203  0800 0100 0a010203  0800 0400 0a0102ff`,
    ],
    [
      "ip addr del fd00::1/64 dev 3",
      deleteAddress(3, { local: ip("fd00::1"), prefixLength: 64, scope: 0, flags: 0 }),
      `40000000 1500 0100 01000000 00000000  0a 40 00 00 03000000
       1400 0200 fd000000000000000000000000000001  1400 0100 fd000000000000000000000000000001`,
    ],
    [
      "ip addr show dev 3",
      getAddresses(3),
      "18000000 1600 0103 01000000 00000000  00 00 00 00 03000000",
    ],
    [
      "ip route add default via 10.1.2.1 dev 3",
      newRoute({ version: 4, gateway: ip("10.1.2.1"), device: 3 }),
      `2c000000 1800 0106 01000000 00000000  02 00 00 00 fe 03 00 01 00000000
       0800 0500 0a010201  0800 0400 03000000`,
    ],
    [
      "ip route del 10.8.0.0/16 dev 3",
      deleteRoute({
        version: 4,
        destination: { address: ip("10.8.0.0"), prefixLength: 16 },
        device: 3,
      }),
      `2c000000 1900 0100 01000000 00000000  02 10 00 00 fe 03 fd 01 00000000
       0800 0100 0a080000  0800 0400 03000000`,
    ],
  ])("%s", (_, request, expected) => {
    expect(sent(request)).toBe(hex(unhex(expected.replace(/\s/g, ""))));
  });

  test("a name that is no C string is refused", () => {
    expect(() => deleteLink({ name: "a\0b" })).toThrow("NUL");
  });
});

describe("answers", () => {
  test("a device", () => {
    const message = echoed(
      newLink({
        name: "br0",
        kind: { type: "bridge" },
        mtu: 1400,
        master: 7,
        address: Uint8Array.of(2, 0, 0, 0, 0, 1),
      }),
    );
    expect(parseLink(message)).toEqual({
      index: 0,
      name: "br0",
      flags: 0,
      mtu: 1400,
      address: Uint8Array.of(2, 0, 0, 0, 0, 1),
      kind: "bridge",
      master: 7,
    });
    expect(parseAddress(message)).toBeUndefined();
    expect(parseRoute(message)).toBeUndefined();
  });

  test("an address, of one end of a link too", () => {
    expect(parseAddress(echoed(newAddress(3, ADDRESS)))).toEqual({ index: 3, ...ADDRESS });
    const { broadcast: _, ...rest } = ADDRESS;
    const peer = { ...rest, peer: ip("10.9.9.9"), prefixLength: 32, flags: 0x282, metric: 5 };
    expect(parseAddress(echoed(newAddress(3, peer)))).toEqual({ index: 3, ...peer });
    expect(parseLink(echoed(newAddress(3, peer)))).toBeUndefined();
  });

  test("a route", () => {
    const route = {
      version: 6,
      destination: { address: ip("fd00::"), prefixLength: 64 },
      gateway: ip("fe80::1"),
      device: 3,
      source: ip("fd00::2"),
      metric: 9,
    } as const;
    expect(parseRoute(echoed(newRoute(route)))).toEqual({ ...route, table: 254 });
    const hole = { ...route, blackhole: true };
    expect(parseRoute(echoed(newRoute(hole)))).toEqual({ ...hole, table: 254 });
  });

  test("several messages in a datagram, each from a multiple of 4 bytes on", () => {
    const first = encodeMessage({ ...getLinks(), body: Uint8Array.of(1, 2, 3) }, 7);
    const datagram = concat([first, new Uint8Array(1), encodeMessage(getLinks(), 8)]);
    const messages = decodeMessages(datagram);
    expect(messages.map(({ seq, body }) => [seq, body.length])).toEqual([
      [7, 3],
      [8, 24],
    ]);
  });

  test("lengths that cannot be are refused", () => {
    const whole = encodeMessage(getLinks(), 1);
    expect(() => decodeMessages(whole.subarray(0, 30))).toThrow("a message of 40 bytes at 0 of 30");
    expect(() => decodeMessages(new Uint8Array(16))).toThrow("a message of 0 bytes");
    expect(() => decodeAttributes(unhex("0900 0100 00000000"))).toThrow("an attribute of 9 bytes");
    expect(() => decodeAttributes(unhex("0300 0100"))).toThrow("an attribute of 3 bytes");
  });

  test("attributes are found whatever their flags", () => {
    const encoded = encodeAttributes([nested(5, [text(1, "veth"), u32(2, 77)])]);
    const inner = decodeAttributes(decodeAttributes(encoded).get(5) as Uint8Array);
    expect([...inner.keys()]).toEqual([1, 2]);
  });
});

describe("errors", () => {
  const request = setLink({ name: "br0" }, { up: true });
  const error = (errno: number, flags: number, rest: Uint8Array, type = 2) => {
    const number = new Uint8Array(4);
    new DataView(number.buffer).setInt32(0, -errno, true);
    return errorOf({ type, flags, seq: 1, body: concat([number, rest]) }, request);
  };
  const header = encodeMessage(request, 1);
  const why = encodeAttributes([text(1, "The interface netns is immutable")]);

  test("say operation, object, errno and the kernel's explanation", () => {
    const refused = error(22, 0x300, concat([header.subarray(0, 16), why]));
    expect(refused?.message).toBe(
      "RTM_SETLINK br0: EINVAL: invalid argument (The interface netns is immutable)",
    );
    expect(refused?.reason).toBe("EINVAL: invalid argument (The interface netns is immutable)");
    expect(refused?.code).toBe("EINVAL");
  });

  test("have the explanation after the whole request, if the kernel repeats that", () => {
    expect(error(22, 0x200, concat([header, why]))?.explanation).toBe(
      "The interface netns is immutable",
    );
  });

  test("at the end of a dump have it at once", () => {
    expect(error(22, 0x200, why, 3)?.explanation).toBe("The interface netns is immutable");
  });

  test("without an explanation have none", () => {
    expect(error(19, 0x100, header.subarray(0, 16))?.message).toBe(
      "RTM_SETLINK br0: ENODEV: no such device",
    );
  });

  test("of number 0 are none, nor is the end of a dump without a number", () => {
    expect(error(0, 0x100, header.subarray(0, 16))).toBeUndefined();
    expect(
      errorOf({ type: 3, flags: 0, seq: 1, body: new Uint8Array(0) }, request),
    ).toBeUndefined();
  });
});
