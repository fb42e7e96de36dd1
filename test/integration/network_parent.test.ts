/** Networks without a bridge, on a device of the host: macvlan and ipvlan, with another machine beyond it. */
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { HOST4, NetworkEngine, OTHER4 } from "../helpers/net_hosts.ts";
import { linkType, testIf } from "../helpers/requires.ts";

const PARENT = "up0";
const MACVLAN = [linkType("macvlan")];
const IPVLAN = [linkType("ipvlan")];
const DUMMY = [linkType("dummy")];
/** The network that the host is on itself. Containers have its upper half. */
const LAN = [
  ...["--subnet", "203.0.113.0/24", "--ip-range", "203.0.113.128/25"],
  ...["--gateway", OTHER4, "-o", `parent=${PARENT}`],
];

const engine = new NetworkEngine();
useEngine({ engine, before: async () => void (await engine.run(["busybox", "true"])) });

afterEach(async () => {
  await engine.host("$MYDOCKER rm -f $($MYDOCKER ps -aq); $MYDOCKER network prune -f");
});

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect({ args, exitCode, err }).toEqual({ args, exitCode: 0, err: "" });
  return out;
}
const create = (driver: string, ...options: string[]) =>
  ok("network", "create", "-d", driver, ...options, "lan");
const idle = (name: string, ...options: string[]) =>
  ok("run", "-d", "--name", name, "--network", "lan", ...options, "busybox", "sleep", "600");
/** @param seconds after which it gives up: few where nothing is to answer */
const pings = async (name: string, to: string, seconds = 15) =>
  (await engine.call(["exec", name, "ping", "-c", "1", "-W", `${seconds}`, to])).exitCode === 0;
/** What iproute2 says of a container. */
const shown = async (name: string, command: string) =>
  (await engine.host(`nsenter --net=/proc/${await engine.pidOf(name)}/ns/net ip ${command}`)).out;

describe("a macvlan network", () => {
  testIf(MACVLAN, "puts containers beside the host on its own network", async () => {
    await create("macvlan", ...LAN);
    await idle("one");
    await idle("two", "--mac-address", "02:00:00:00:00:22");
    expect(await shown("one", "-d link show eth0")).toMatch(/macvlan mode bridge/);
    expect(await shown("one", "-4 -o addr show eth0")).toContain("203.0.113.128/24");
    expect(await shown("one", "route")).toContain(`default via ${OTHER4} dev eth0`);
    expect(await pings("one", "two")).toBe(true); // by name
    expect(await pings("one", OTHER4)).toBe(true);
    expect(await pings("two", OTHER4)).toBe(true);
    // Who the other machine has heard: they themselves, not the host.
    const heard = async (ip: string) => (await engine.other(`ip neigh show ${ip}`)).out;
    expect(await heard("203.0.113.128")).toContain("lladdr 02:42:cb:00:71:80");
    expect(await heard("203.0.113.129")).toContain("lladdr 02:00:00:00:00:22");
    expect((await engine.other("busybox ping -c 1 -W 15 203.0.113.128")).exitCode).toBe(0);
    expect(await pings("one", HOST4, 1)).toBe(false); // as with Docker: the parent is passed by
    const [shape] = JSON.parse(await ok("network", "inspect", "lan"));
    expect(shape).toMatchObject({ Driver: "macvlan", Options: { parent: PARENT } });
  });

  testIf(
    MACVLAN,
    "frees a container's addresses at its end, and when its monitor is killed",
    async () => {
      await create("macvlan", ...LAN);
      const fixed = ["--network", "lan", "--ip", "203.0.113.200", "busybox"];
      for (let time = 0; time < 5; time++)
        expect(await engine.run([...fixed, "true"])).toMatchObject({ exitCode: 0, err: "" });
      await idle("lost", "--ip", "203.0.113.200");
      const stat = readFileSync(`/proc/${await engine.pidOf("lost")}/stat`, "latin1");
      const monitor = Number(stat.slice(stat.lastIndexOf(")")).split(" ")[2]);
      expect(readFileSync(`/proc/${monitor}/comm`, "latin1")).toBe("mydocker\n");
      process.kill(monitor, "SIGKILL");
      await ok("ps");
      expect(await engine.run([...fixed, "true"])).toMatchObject({ exitCode: 0, err: "" });
    },
  );

  testIf(MACVLAN, "is connected and disconnected while a container runs", async () => {
    await create("macvlan", ...LAN);
    await ok("run", "-d", "--name", "moves", "busybox", "sleep", "600");
    await idle("stays");
    await ok("network", "connect", "--ip", "203.0.113.201", "lan", "moves");
    expect(await shown("moves", "-4 -o addr show eth1")).toContain("203.0.113.201/24");
    expect(await pings("moves", "203.0.113.128")).toBe(true);
    expect(await pings("stays", "moves")).toBe(true);
    await ok("network", "disconnect", "bridge", "moves");
    expect(await shown("moves", "route")).toContain(`default via ${OTHER4} dev eth1`);
    await ok("network", "disconnect", "lan", "moves");
    expect(await shown("moves", "-o link")).not.toContain("eth");
    expect((await engine.call(["network", "rm", "lan"])).err).toContain("has active endpoints");
  });

  testIf(MACVLAN, "publishes nothing: nobody needs it", async () => {
    await create("macvlan", ...LAN);
    await idle("web", "-p", "8080:80");
    expect(await ok("port", "web")).toBe("");
    expect((await engine.host("nft list ruleset")).out).not.toContain("203.0.113.128");
  });

  for (const mode of ["private", "vepa", "passthru"]) {
    testIf(MACVLAN, `has the mode ${mode}`, async () => {
      await create("macvlan", ...LAN, "-o", `macvlan_mode=${mode}`);
      await idle("one");
      expect(await shown("one", "-d link show eth0")).toContain(`macvlan mode ${mode}`);
      if (mode === "passthru") return; // for one alone
      await idle("two");
      expect(await pings("two", OTHER4)).toBe(true);
      expect(await pings("one", "203.0.113.129", 1)).toBe(false);
    });
  }

  testIf(DUMMY, "without a parent has one that leads nowhere", async () => {
    await create("macvlan", "--internal", "--subnet", "10.79.0.0/24");
    const id = await ok("network", "inspect", "-f", "{{.Id}}", "lan");
    await idle("one");
    await idle("two");
    expect(await pings("one", "two")).toBe(true);
    const link = `dm-${id.slice(0, 12)}`;
    expect((await engine.host(`ip -d link show ${link}`)).out).toContain("dummy");
    await ok("rm", "-f", "one", "two");
    await ok("network", "rm", "lan");
    expect((await engine.host(`ip link show ${link}`)).exitCode).toBe(1);
  });
});

describe("an ipvlan network", () => {
  testIf(IPVLAN, "has containers with the host's hardware address", async () => {
    await create("ipvlan", ...LAN);
    await idle("one");
    await idle("two");
    expect(await shown("one", "-d link show eth0")).toMatch(/ipvlan +mode l2/);
    expect(await pings("one", "two")).toBe(true);
    expect(await pings("one", OTHER4)).toBe(true);
    const mac = (await engine.host(`cat /sys/class/net/${PARENT}/address`)).out;
    expect((await engine.other("ip neigh show 203.0.113.128")).out).toContain(mac);
  });

  testIf(IPVLAN, "of layer 3 sends everything out of its device", async () => {
    await create("ipvlan", ...LAN, "-o", "ipvlan_mode=l3");
    await idle("one");
    await idle("two");
    expect(await shown("one", "-d link show eth0")).toMatch(/ipvlan +mode l3/);
    expect(await shown("one", "route")).toMatch(/^default dev eth0/);
    expect(await pings("one", "203.0.113.129")).toBe(true);
  });
});

describe("network create refuses", () => {
  const refused = async (...options: string[]) =>
    (await engine.call(["network", "create", "-d", ...options, "no"])).err;

  test("parents that are not there, options and values that no driver has", async () => {
    expect(await refused("macvlan", "-o", "parent=eth77")).toContain(
      "the parent eth77 of network no does not exist",
    );
    expect(await refused("macvlan", "-o", "macvlan_mode=fast")).toContain(
      "requested macvlan macvlan_mode 'fast' is not valid",
    );
    expect(await refused("ipvlan", "-o", "ipvlan_mode=l4")).toContain(
      "requested ipvlan ipvlan_mode 'l4' is not valid",
    );
    expect(await refused("ipvlan", "-o", "macvlan_mode=vepa")).toContain(
      "the driver ipvlan has no option macvlan_mode",
    );
    expect(await refused("macvlan", "-o", "constructor=x")).toContain("has no option constructor");
    expect(await refused("overlay")).toContain("could not find plugin overlay");
    expect(await ok("network", "ls", "-q", "--filter", "type=custom")).toBe("");
  });

  testIf(MACVLAN, "a parent that another network has", async () => {
    await create("macvlan", ...LAN);
    expect(await refused("macvlan", "-o", `parent=${PARENT}`)).toContain(
      `network lan is already using parent interface ${PARENT}`,
    );
    expect(await ok("network", "ls", "-q", "--filter", "name=no")).toBe(
      await ok("network", "ls", "-q", "--filter", "name=none"),
    );
  });
});

leavesNothingBehind(engine);
