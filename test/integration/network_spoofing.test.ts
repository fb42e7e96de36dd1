/**
 * What a container sends in the name of another, frame by frame: nobody gets it. That these frames
 * would do harm is seen without the rules.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { compileFixture } from "../helpers/fixture.ts";
import { arp, datagram, type FrameParties, neighborAdvertisement } from "../helpers/frames.ts";
import { NetworkEngine } from "../helpers/net_hosts.ts";
import { waitFor } from "../helpers/wait.ts";

const GATEWAY = { mac: "02:42:0a:4e:00:01", ip: "10.78.0.1", ip6: "fd78::1" };
const VICTIM = { mac: "02:42:0a:4e:00:02", ip: "10.78.0.2", ip6: "fd78::2" };
const ATTACKER = { mac: "02:42:0a:4e:00:03", ip: "10.78.0.3" };
const PORT = 9100;

const engine = new NetworkEngine();

async function ok(args: readonly string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect({ args, exitCode, err }).toEqual({ args, exitCode: 0, err: "" });
  return out;
}

useEngine({ engine, before: async () => void (await engine.run(["busybox", "true"])) });

/** Everybody knows everybody. */
async function meet(): Promise<void> {
  for (const ip of [GATEWAY.ip, VICTIM.ip, GATEWAY.ip6])
    await ok(["exec", "attacker", "ping", "-c", "1", "-W", "15", ip]);
  for (const ip of [GATEWAY.ip, GATEWAY.ip6])
    await ok(["exec", "victim", "ping", "-c", "1", "-W", "15", ip]);
}

/** Sends frames out of the attacker's device; it needs no more than what every container may. */
const send = (...frames: readonly string[]) =>
  ok(["exec", "attacker", "/raw_frame", "eth0", ...frames]);

/** Which hardware address the host, or the victim, takes an address to be at. */
async function believes(who: "host" | "victim", ip: string): Promise<string | undefined> {
  const pid = who === "host" ? undefined : await engine.pidOf("victim");
  const enter = pid === undefined ? "" : `nsenter --net=/proc/${pid}/ns/net`;
  const { out } = await engine.host(`${enter} ip neigh show ${ip}`);
  return /lladdr (\S+)/.exec(out)?.[1];
}

/** A server of the host's that says whom it heard. */
async function listen(): Promise<{ heard(): string } & AsyncDisposable> {
  const script = `
    const socket = require("node:dgram").createSocket("udp4", (text, { address }) =>
      console.log(address + " said " + text));
    socket.bind(${PORT}, "${GATEWAY.ip}", () => console.log("ready"));`;
  const server = Bun.spawn([...engine.prefix, process.execPath, "-e", script], { stdout: "pipe" });
  let text = "";
  const reading = (async () => {
    for await (const bytes of server.stdout) text += Buffer.from(bytes).toString();
  })();
  await waitFor("the server", () => text.startsWith("ready\n"));
  return {
    heard: () => text,
    [Symbol.asyncDispose]: async () => {
      server.kill("SIGKILL");
      await Promise.all([server.exited, reading]);
    },
  };
}

const { mac: source } = ATTACKER;
const parties = (from: string, to: string, as = source): FrameParties => ({
  source: as,
  destination: to === VICTIM.ip ? VICTIM.mac : GATEWAY.mac,
  from,
  to,
});
const HARM = {
  /** the host sends to the attacker what is the victim's */
  host: arp(parties(VICTIM.ip, GATEWAY.ip)),
  /** and the victim what is for the world */
  victim: arp(parties(GATEWAY.ip, VICTIM.ip)),
  neighbor: neighborAdvertisement(parties(VICTIM.ip6, GATEWAY.ip6)),
  datagram: datagram(parties(VICTIM.ip, GATEWAY.ip), PORT, "lies"),
};
const MORE = [
  arp(parties(VICTIM.ip, GATEWAY.ip, VICTIM.mac), source),
  arp(parties(GATEWAY.ip, VICTIM.ip), GATEWAY.mac),
  neighborAdvertisement(parties(VICTIM.ip6, GATEWAY.ip6, VICTIM.mac)),
  datagram(parties(VICTIM.ip, GATEWAY.ip, VICTIM.mac), PORT, "lies"),
  datagram(parties("192.0.2.7", GATEWAY.ip), PORT, "lies"),
];
/** What everybody believes of the three addresses. */
const beliefs = async () => [
  await believes("host", VICTIM.ip),
  await believes("victim", GATEWAY.ip),
  await believes("host", VICTIM.ip6),
];

describe("a container that sends in the name of another", () => {
  beforeAll(async () => {
    const binary = compileFixture(engine, "raw_frame");
    const subnets = ["--subnet", "10.78.0.0/24", "--subnet", "fd78::/64", "--ipv6"];
    await ok(["network", "create", ...subnets, "shared"]);
    for (const [name, ip] of Object.entries({ victim: VICTIM.ip, attacker: ATTACKER.ip })) {
      const options = ["--network", "shared", "--ip", ip, "-v", `${binary}:/raw_frame`];
      await ok(["run", "-d", "--name", name, ...options, "busybox", "sleep", "600"]);
    }
  });
  afterAll(async () => {
    await ok(["rm", "-f", "victim", "attacker"]);
    await ok(["network", "rm", "shared"]);
  });

  test("is not heard: neither by ARP, nor by neighbor discovery, nor by IP", async () => {
    await using server = await listen();
    await meet();
    await send(...Object.values(HARM), ...MORE);
    // What is sent later arrives later.
    await send(datagram(parties(ATTACKER.ip, GATEWAY.ip), PORT, "the end\n"));
    await waitFor("what is its own", () => server.heard().includes("the end"));
    expect(server.heard()).toBe(`ready\n${ATTACKER.ip} said the end\n\n`);
    expect(await beliefs()).toEqual([VICTIM.mac, GATEWAY.mac, VICTIM.mac]);
  });

  test("would be without the rules that forbid it", async () => {
    await using server = await listen();
    await meet();
    const { out } = await engine.host("nft list tables bridge");
    expect(out).toMatch(/^table bridge mydocker_\w+$/);
    await engine.host(`nft delete ${out}`);
    await send(...Object.values(HARM));
    await waitFor("the datagram", () => server.heard().includes(`${VICTIM.ip} said lies`));
    await waitFor("all to believe it", async () =>
      (await beliefs()).every((mac) => mac === source),
    );
    await engine.run(["--network", "shared", "busybox", "true"]); // makes them anew
    expect((await engine.host("nft list tables bridge")).out).toBe(out);
  });
});

leavesNothingBehind(engine);
