/** Networks that somebody makes: names, connections, isolation, with real traffic. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { echoUdp, HOST4, HOST6, NetworkEngine, OTHER4, OTHER6 } from "../helpers/net_hosts.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = new NetworkEngine();
useEngine({
  engine,
  // The default network is made by the first that needs it, and stays.
  before: async () => void (await engine.run(["busybox", "true"])),
});

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect({ args, exitCode, err }).toEqual({ args, exitCode: 0, err: "" });
  return out;
}

const idle = (name: string, ...options: string[]) =>
  ok("run", "-d", "--name", name, ...options, "busybox", "sleep", "600");
const inside = async (name: string, script: string) =>
  await engine.call(["exec", name, "sh", "-c", script]);
/** @param seconds after which it gives up: few where nothing is to answer */
const pings = async (name: string, to: string, seconds = 15) =>
  (await inside(name, `ping -c 1 -W ${seconds} ${to}`)).exitCode === 0;

describe("names", () => {
  beforeAll(async () => {
    await ok("network", "create", "--subnet", "10.70.0.0/24", "names");
    await ok("network", "create", "--subnet", "10.71.0.0/24", "--subnet", "fd71::/64", "six");
    await idle("one", "--network", "names", "--dns", OTHER4, "--network-alias", "web");
    await idle("two", "--network", "names", "--network", "six", "--network-alias", "Web");
    await idle("stub", "--network", "names", "--dns", "127.0.0.53");
  });
  afterAll(async () => {
    await ok("rm", "-f", "one", "two", "stub");
    await ok("network", "rm", "names", "six");
  });

  test.each([
    ["one", "A", 'NOERROR whole 1 "10.70.0.2"'],
    ["ONE.names", "A", 'NOERROR whole 1 "10.70.0.2"'],
    ["one", "AAAA", 'NOERROR whole 0 ""'],
    ["web", "A", expect.stringMatching(/^NOERROR whole 2 "10\.70\.0\.[23]"$/)],
    ["2.0.70.10.in-addr.arpa", "PTR", expect.stringMatching(/^NOERROR whole 1 .*one.*names/)],
  ])("%s has %s by datagram and by stream", async (name, type, answer) => {
    expect(await engine.askDns("one", name, type, "udp")).toEqual(answer);
    expect(await engine.askDns("one", name, type, "tcp")).toEqual(answer);
  });

  test("short ids and addresses of IPv6 are found; networks of others are not looked into", async () => {
    const id = (await ok("inspect", "--format", "{{.Id}}", "two")).slice(0, 12);
    expect(await engine.askDns("one", id)).toBe('NOERROR whole 1 "10.70.0.3"');
    expect(await engine.askDns("two", "two.six", "AAAA")).toStartWith("NOERROR whole 1");
    await using _server = await engine.serveDns("other", OTHER4);
    expect(await engine.askDns("one", "two.six")).toStartWith("NXDOMAIN");
  });

  test("of the outside are asked for: at another machine, with truncation, and by stream", async () => {
    await using _server = await engine.serveDns("other", OTHER4);
    expect(await engine.askDns("one", "small.example")).toBe('NOERROR whole 1 "198.51.100.1"');
    expect(await engine.askDns("one", "gone.example")).toBe('NXDOMAIN whole 0 ""');
    expect(await engine.askDns("one", "big.example")).toStartWith("NOERROR cut ");
    expect(await engine.askDns("one", "big.example", "A", "tcp")).toBe(
      'NOERROR whole 100 "198.51.100.1"',
    );
  });

  test("of the outside are asked for at the stub of systemd-resolved on the host's loopback", async () => {
    expect(await engine.askDns("stub", "small.example")).toBe('SERVFAIL whole 0 ""');
    await using _server = await engine.serveDns("host", "127.0.0.53");
    expect(await engine.askDns("stub", "small.example")).toBe('NOERROR whole 1 "198.51.100.1"');
    expect(await engine.askDns("stub", "small.example", "A", "tcp")).toBe(
      'NOERROR whole 1 "198.51.100.1"',
    );
  });

  test("leave port 53 to a name server of the container's own", async () => {
    await using _own = await echoUdp(await engine.pidOf("one"), 53); // at every address
    expect(await engine.askDns("one", "one")).toBe('NOERROR whole 1 "10.70.0.2"');
  });

  test("are found by programs, and follow an address that changes", async () => {
    expect(await pings("one", "two")).toBe(true);
    await idle("early", "--network", "names");
    await ok("kill", "two", "early");
    await ok("wait", "two", "early");
    await idle("other", "--network", "names"); // has the address of one of them now
    await ok("start", "two");
    expect(await pings("one", "two")).toBe(true);
    expect(await engine.askDns("one", "early")).toStartWith("SERVFAIL");
    await ok("rm", "-f", "early", "other");
  });

  test("are the new ones at once, for somebody who never stops asking too", async () => {
    await using _pester = await engine.pesterDns("one", "two");
    for (const ip of ["10.70.0.81", "10.70.0.82", "10.70.0.83"]) {
      await ok("network", "disconnect", "names", "two");
      expect(await engine.askDns("one", "two")).toStartWith("SERVFAIL"); // nobody is outside
      await ok("network", "connect", "--ip", ip, "names", "two");
      expect(await engine.askDns("one", "two")).toBe(`NOERROR whole 1 "${ip}"`);
    }
  });

  test("change with rename", async () => {
    await ok("rename", "two", "second");
    expect(await engine.askDns("one", "second")).toStartWith("NOERROR whole 1");
    expect(await engine.askDns("one", "two")).toStartWith("SERVFAIL"); // nobody is outside
    await ok("rename", "second", "two");
    expect(await engine.askDns("one", "two")).toStartWith("NOERROR whole 1");
  });

  test("are still answered when the monitor of another container is killed", async () => {
    await idle("lost", "--network", "names");
    const stat = readFileSync(`/proc/${await engine.pidOf("lost")}/stat`, "latin1");
    const parent = Number(stat.slice(stat.lastIndexOf(")")).split(" ")[2]);
    expect(readFileSync(`/proc/${parent}/comm`, "latin1")).toBe("mydocker\n");
    process.kill(parent, "SIGKILL");
    expect(await engine.askDns("one", "two")).toStartWith("NOERROR whole 1");
    await ok("ps", "-a"); // cleans up
    expect(await engine.askDns("one", "lost")).toBe('SERVFAIL whole 0 ""'); // nobody is outside
    await ok("rm", "lost");
  });
});

describe("connections", () => {
  test("come and go while the container runs, and its files in /etc follow", async () => {
    await ok("network", "create", "--subnet", "10.72.0.0/24", "later");
    await idle("moves");
    await idle("stays", "--network", "later");
    expect(await pings("moves", "10.72.0.2", 1)).toBe(false);
    await ok("network", "connect", "--alias", "mover", "--ip", "10.72.0.77", "later", "moves");
    expect(await pings("moves", "stays")).toBe(true);
    expect(await pings("stays", "mover")).toBe(true);
    const hosts = () => inside("moves", "grep -v -e localhost -e ip6 /etc/hosts");
    expect((await hosts()).out).toMatch(/^172\.17\.\S+\t\w{12}\n10\.72\.0\.77\t\w{12}$/);
    const twice = await engine.call(["network", "connect", "later", "moves"]);
    expect(twice.err).toContain("endpoint with name moves already exists in network later");
    await ok("network", "disconnect", "bridge", "moves");
    expect((await hosts()).out).toMatch(/^10\.72\.0\.77\t\w{12}$/);
    expect((await inside("moves", "ip route")).out).toContain("default via 10.72.0.1");
    await ok("restart", "-t", "0", "moves");
    expect((await inside("moves", "ip -4 -o addr show eth0")).out).toContain("10.72.0.77/24");
    const used = await engine.call(["network", "rm", "later"]);
    expect(used.err).toContain("network later has active endpoints");
    await ok("rm", "-f", "moves", "stays");
    await ok("network", "rm", "later");
    const { out } = await engine.host("ip -o link; nft list ruleset");
    expect(out).not.toContain("br-");
  });

  test("have the addresses that are asked for, or are refused", async () => {
    await ok("network", "create", "--subnet", "10.73.0.0/30", "small");
    const options = [
      "--network",
      "small",
      "--ip",
      "10.73.0.2",
      "--mac-address",
      "02:00:00:00:00:09",
    ];
    const { out } = await engine.run([...options, "busybox", "ip", "addr", "show", "eth0"]);
    expect(out).toContain("10.73.0.2/30");
    expect(out).toContain("02:00:00:00:00:09");
    await idle("holds", "--network", "small");
    const [same, none] = await Promise.all([
      engine.run([...options, "busybox", "true"]),
      engine.run(["--network", "small", "busybox", "true"]),
    ]);
    expect([same.exitCode, none.exitCode]).toEqual([125, 125]);
    expect(same.err).toContain("Address already in use: 10.73.0.2");
    expect(none.err).toContain(
      "no available IPv4 addresses on this network's address pools: small",
    );
    await ok("rm", "-f", "holds");
    await ok("network", "rm", "small");
  });

  test("of IPv6 reach other machines, and are reached by published ports", async () => {
    await ok("network", "create", "--ipv6", "--subnet", "fd74::/64", "both");
    const script = "mkdir /www; exec busybox httpd -f -p 80 -h /www";
    const options = ["--network", "both", "-p", "8099:80", "-p", `[${HOST6}]:8098:80`];
    await ok("run", "-d", "--name", "v6", ...options, "busybox", "sh", "-c", script);
    expect(await pings("v6", `-6 ${OTHER6}`)).toBe(true); // by the host's address
    const code = (url: string) =>
      engine.other(`curl -sg --noproxy '*' -m 15 -o /dev/null -w '%{http_code}' http://${url}/`);
    await waitFor("its server", async () => (await code(`[${HOST6}]:8099`)).out === "404");
    expect((await code(`${HOST4}:8099`)).out).toBe("404");
    expect((await code(`[${HOST6}]:8098`)).out).toBe("404");
    expect((await code(`${HOST4}:8098`)).exitCode).toBe(7);
    expect(await ok("port", "v6")).toBe(
      `80/tcp -> 0.0.0.0:8099\n80/tcp -> [::]:8099\n80/tcp -> [${HOST6}]:8098`,
    );
    await ok("rm", "-f", "v6");
    await ok("network", "rm", "both");
  });

  test("avoid networks that the host has a route to", async () => {
    await engine.host("ip route add 172.18.0.0/16 dev up0; ip route add 10.74.0.0/16 dev up0");
    await ok("network", "create", "chosen");
    const subnet = "{{(index .IPAM.Config 0).Subnet}}";
    expect(await ok("network", "inspect", "--format", subnet, "chosen")).toBe("172.19.0.0/16");
    const { err } = await engine.call(["network", "create", "--subnet", "10.74.1.0/24", "no"]);
    expect(err).toContain("Pool overlaps with other one on this address space");
    await engine.host("ip route del 172.18.0.0/16; ip route del 10.74.0.0/16");
    expect(await ok("network", "prune", "-f")).toBe("Deleted Networks:\nchosen\n");
  });
});

describe("isolation", () => {
  beforeAll(async () => {
    await ok("network", "create", "--subnet", "10.75.0.0/24", "left");
    await ok("network", "create", "--subnet", "10.76.0.0/24", "right");
    await ok("network", "create", "--subnet", "10.77.0.0/24", "--internal", "inner");
    await idle("left1", "--network", "left");
    await idle("right1", "--network", "right");
    await idle("inner1", "--network", "inner");
    await idle("inner2", "--network", "inner");
  });
  afterAll(async () => {
    await ok("rm", "-f", "left1", "right1", "inner1", "inner2");
    await ok("network", "rm", "left", "right", "inner");
  });

  test("separate networks do not reach each other, also not by routes of their own", async () => {
    expect(await pings("left1", OTHER4)).toBe(true);
    const others = ["10.76.0.2", "10.77.0.2"];
    const reached = await Promise.all(others.map((each) => pings("left1", each, 1)));
    expect(reached).toEqual([false, false]);
  });

  test("an internal network reaches itself, and nothing outside", async () => {
    expect(await pings("inner1", "inner2")).toBe(true);
    expect((await inside("inner1", "ip route")).out).not.toContain("default");
    const script = `ip route add default via 10.77.0.1; ping -c 1 -W 1 ${OTHER4}; echo $?
      ping -c 1 -W 1 ${HOST4} >/dev/null; echo $?; ping -c 1 -W 1 10.75.0.2 >/dev/null; echo $?`;
    const pid = await engine.pidOf("inner1");
    const { out } = await engine.exec(
      ["nsenter", `--net=/proc/${pid}/ns/net`, "busybox", "sh", "-c", script],
      {},
    );
    expect(out.split("\n").filter((line) => /^\d$/.test(line))).toEqual(["1", "1", "1"]);
  });

  test("a container does not answer for another's address, and not with another's hardware address", async () => {
    const script = `ip addr add 10.75.0.9/24 dev eth0; ping -c 1 -W 1 -I 10.75.0.9 10.75.0.1 >/dev/null; echo $?
      ip link set eth0 down; ip link set eth0 address 02:42:0a:4b:00:63; ip link set eth0 up
      ip route add default via 10.75.0.1; ping -c 1 -W 1 10.75.0.1 >/dev/null; echo $?`;
    const options = ["--rm", "--cap-add", "NET_ADMIN", "--network", "left"];
    const { out } = await engine.call(["run", ...options, "busybox", "sh", "-c", script]);
    expect(out.split("\n")).toEqual(["1", "1"]);
  });
});

test("what is left of networks is gone with the last of them", async () => {
  const { out } = await engine.host(
    `find ${engine.runFolder}/networks/leases ${engine.runFolder}/networks/containers -mindepth 2`,
  );
  expect(out).toBe("");
  await waitFor("no links", async () => {
    return !/ md[0-9a-f]{12}/.test((await engine.host("ip -o link")).out);
  });
});

leavesNothingBehind(engine);
