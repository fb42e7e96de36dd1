/** The default bridge, with real traffic between network namespaces that stand for machines. */
import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { echoUdp, HOST4, NetworkEngine, OTHER4 } from "../helpers/net_hosts.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = new NetworkEngine();
useEngine({
  engine,
  // The default network is made by the first that needs it, and stays.
  before: async () => void (await engine.run(["busybox", "true"])),
});

// What one test leaves when it fails is no other's matter.
afterEach(async () => void (await engine.host("$MYDOCKER rm -f $($MYDOCKER ps -aq)")));

/** Links, firewall elements and leases that containers have now. */
async function traces(): Promise<string> {
  const { out } = await engine.host(`
    ip -o link | grep -o 'md[0-9a-f]\\{12\\}[0-9a-z]@' | sort
    nft list ruleset | grep -e 'md[0-9a-f]\\{12\\}[0-9a-z]"' -e ' : 172' -e ' \\. 172'
    find ${engine.runFolder}/networks/containers ${engine.runFolder}/networks/leases -mindepth 2 2>/dev/null
    find ${engine.runFolder}/networks/containers -type f 2>/dev/null`);
  return out;
}

/** Runs a container with a web server that says whom it is asked by. */
async function serve(name: string, ...options: string[]): Promise<void> {
  const page = '#!/bin/sh\\necho; echo "hello $REMOTE_ADDR"\\n';
  const script = `mkdir -p /www/cgi-bin; printf '${page}' > /www/cgi-bin/who
    chmod +x /www/cgi-bin/who; exec busybox httpd -f -p 0.0.0.0:80 -h /www`;
  const { exitCode, err } = await engine.call([
    ...["run", "-d", "--rm", "--name", name, ...options, "busybox", "sh", "-c", script],
  ]);
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
  await waitFor("its server", async () => {
    const { out } = await engine.call(["exec", name, ...ask("127.0.0.1")]);
    return out.startsWith("hello");
  });
}

/** Asks such a server, from inside of a container, from the host or another machine: it says `hello ADDRESS`. */
const ask = (ip: string, port = 80) => [
  ...["sh", "-c", `busybox wget -q -O - http://${ip}:${port}/cgi-bin/who`],
];
/** @param seconds after which it gives up: few where nothing is to answer */
const curl = (ip: string, port: number, seconds = 15) =>
  `curl -sg --noproxy '*' -m ${seconds} http://${ip}:${port}/cgi-bin/who`;

/** Something of the host's own that listens, from when this returns on. @throws {Error} when it cannot */
async function listen(port: number, ip: string): Promise<AsyncDisposable> {
  return await engine.serve(
    `require("node:net").createServer().listen(${port}, "${ip}", () => console.log("ready"))`,
  );
}

describe("a container on the default bridge", () => {
  test("has Docker's first address, a route to the gateway, and its name in /etc/hosts", async () => {
    const script =
      "ip -4 -o addr show eth0; ip route; cat /etc/hosts; cat /sys/class/net/eth0/address";
    const { out } = await engine.run(["--hostname", "box", "busybox", "sh", "-c", script]);
    expect(out).toContain("inet 172.17.0.2/16 brd 172.17.255.255 scope global eth0");
    expect(out).toContain("default via 172.17.0.1 dev eth0");
    expect(out).toContain("172.17.0.2\tbox");
    expect(out).toContain("02:42:ac:11:00:02");
  });

  test("reaches another machine, which sees the host's address", async () => {
    const heard = engine.other(`timeout 25 busybox nc -l -p 9000 -e cat /proc/net/tcp6`);
    await waitFor("its listener", async () => {
      return (await engine.other("cat /proc/net/tcp6")).out.includes(":2328 ");
    });
    // What the other machine's kernel says of the connection, as it sees it.
    const said = await engine.run(["busybox", "sh", "-c", `sleep 1 | nc -w 15 ${OTHER4} 9000`]);
    expect(said.out).toContain("027100CB:2328 0000000000000000FFFF0000017100CB:");
    await heard;
  });

  test("reaches other containers of the bridge, and is not reached from outside of the host", async () => {
    await serve("server");
    const inside = await engine.run(["busybox", ...ask("172.17.0.2", 80)]);
    expect(inside.out).toBe("hello 172.17.0.3");
    const outside = await engine.other(
      `ip route add 172.17.0.0/16 via ${HOST4}; timeout 1 bash -c '</dev/tcp/172.17.0.2/80'; echo $?`,
    );
    expect(outside.out).toBe("124");
    await engine.call(["rm", "-f", "server"]);
  });

  test("cannot reach what listens on the host's loopback only", async () => {
    await using _server = await listen(9001, "127.0.0.1");
    const script = `ip route add 127.0.0.1/32 via 172.17.0.1 2>&1
      echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip addr del 127.0.0.1/8 dev lo
      nc -w 1 127.0.0.1 9001 </dev/null; echo $?`;
    const { out } = await engine.run(["--privileged", "busybox", "sh", "-c", script]);
    expect(out.split("\n").at(-1)).not.toBe("0");
  });

  test("shares another's network with --network container:", async () => {
    await serve("first", "--hostname", "one");
    const script = `hostname; ip -4 -o addr show eth0; ${ask("127.0.0.1")[2]}; cat /etc/hosts`;
    const { out } = await engine.run([
      "--network",
      "container:first",
      "busybox",
      "sh",
      "-c",
      script,
    ]);
    expect(out).toMatch(/^one\n.*172\.17\.0\.2\/16.*\nhello 127\.0\.0\.1\n/);
    expect(out).toContain("172.17.0.2\tone");
    await engine.call(["rm", "-f", "first"]);
    const gone = await engine.run(["--network", "container:first", "busybox", "true"]);
    expect(gone.exitCode).toBe(125);
    expect(gone.err).toContain("No such container: first");
  });
});

describe("a published port", () => {
  test("leads from another machine, the host, its loopback and containers into the container", async () => {
    await serve("web", "-p", "8080:80");
    const from = async (who: "host" | "other", ip: string) =>
      (await engine[who](curl(ip, 8080))).out;
    const inside = async (ip: string) => (await engine.run(["busybox", ...ask(ip, 8080)])).out;
    expect(await from("other", HOST4)).toBe(`hello ${OTHER4}`); // the client's own address
    expect(await from("host", HOST4)).toBe(`hello ${HOST4}`);
    expect(await from("host", "127.0.0.1")).toBe("hello 172.17.0.1");
    expect(await inside(HOST4)).toStartWith("hello 172.17.0.");
    expect(await inside("172.17.0.1")).toStartWith("hello 172.17.0.");
    const hairpin = await engine.call(["exec", "web", ...ask(HOST4, 8080)]);
    expect(hairpin.out).toStartWith("hello 172.17.0.");
    await engine.call(["rm", "-f", "web"]);
  });

  test("of one address of the host is on no other; the more exact one wins", async () => {
    await serve("exact", "-p", "127.0.0.1:8081:80");
    expect((await engine.host(curl("127.0.0.1", 8081))).out).toBe("hello 172.17.0.1");
    const { exitCode, out } = await engine.other(curl(HOST4, 8081));
    expect({ exitCode, out }).toEqual({ exitCode: 7, out: "" }); // refused
    await engine.call(["rm", "-f", "exact"]);
  });

  test("carries UDP, and keeps the client's address", async () => {
    const options = ["run", "-d", "--rm", "--name", "udp", "-p", "5353:53/udp"];
    await engine.call([...options, "busybox", "sleep", "60"]);
    await using _server = await echoUdp(await engine.pidOf("udp"), 53);
    const script = `exec 3<>/dev/udp/${HOST4}/5353; echo there >&3; timeout 15 head -n 1 <&3`;
    expect((await engine.other(script)).out).toBe(`${OTHER4} said there`);
    await engine.call(["rm", "-f", "udp"]);
  });

  test("that is in use is an error before anything starts", async () => {
    await using _busy = await listen(8082, "0.0.0.0");
    const { exitCode, err } = await engine.run(["-p", "8082:80", "busybox", "echo", "started"]);
    expect(exitCode).toBe(125);
    expect(err).toBe(
      "mydocker: cannot publish 0.0.0.0:8082 to port 80/tcp: port is already allocated",
    );
  });

  test("comes and goes while the container runs: update -p", async () => {
    await serve("later", "-p", "8095:80");
    await serve("blocks", "-p", "8097:80");
    const update = (...ports: string[]) =>
      engine.call(["update", ...ports.flatMap((port) => ["-p", port]), "later"]);
    expect(await update("8096:80")).toMatchObject({ exitCode: 0, err: "" });
    for (const port of [8095, 8096])
      expect((await engine.other(curl(HOST4, port))).out).toBe(`hello ${OTHER4}`);
    const refused = await update("", "8097:80");
    expect(refused.exitCode).toBe(1);
    expect(refused.err).toContain("port is already allocated");
    expect((await engine.other(curl(HOST4, 8095))).out).toBe(`hello ${OTHER4}`);
    expect(await update("", "8096:80")).toMatchObject({ exitCode: 0, err: "" });
    expect((await engine.other(curl(HOST4, 8095))).exitCode).toBe(7);
    expect((await engine.other(curl(HOST4, 8096))).out).toBe(`hello ${OTHER4}`);
    expect((await engine.call(["port", "later"])).out).toBe(
      "80/tcp -> 0.0.0.0:8096\n80/tcp -> [::]:8096",
    );
    await using _freed = await listen(8095, "0.0.0.0"); // the host's own again
    await engine.call(["rm", "-f", "later", "blocks"]);
    expect(await traces()).toBe("");
  });

  test("that the host's firewall closes is not opened silently, nor what it forbids to forward", async () => {
    const rules = (hook: string) => `nft -f - <<< 'table inet own { chain c {
      type filter hook ${hook} priority 0; policy drop; ct state established accept; iif lo accept;
      }
      }'`;
    await engine.host(rules("input"));
    const { err } = await engine.run(["-p", "8098:80", "busybox", "true"]);
    expect(err).toStartWith("mydocker: warning: other machines reach 8098:80/tcp past the host's");
    const local = await engine.run(["-p", "127.0.0.1:8098:80", "busybox", "true"]);
    expect(local.err).toBe("");
    await engine.host(`nft delete table inet own; ${rules("forward")}`);
    await serve("closed", "-p", "8098:80");
    expect((await engine.other(curl(HOST4, 8098, 2))).exitCode).toBe(28);
    expect((await engine.host(curl(HOST4, 8098))).out).toBe(`hello ${HOST4}`);
    expect((await engine.host("nft list table inet own")).out).toContain("policy drop");
    await engine.host("nft delete table inet own");
    await engine.call(["rm", "-f", "closed"]);
  });

  test("is the next free one of a range, and any with none named", async () => {
    await serve("one", "-p", "8090-8092:80");
    await serve("two", "-p", "8090-8092:80");
    await serve("free", "-p", "80");
    const { out } = await engine.call(["ps", "--format", "{{.Names}} {{.Ports}}"]);
    expect(out).toMatch(/^free 0\.0\.0\.0:\d{5}->80\/tcp/m);
    expect(out).toMatch(/^two 0\.0\.0\.0:8091->80\/tcp/m);
    expect(out).toMatch(/^one 0\.0\.0\.0:8090->80\/tcp/m);
    await engine.call(["rm", "-f", "one", "two", "free"]);
  });
});

describe("what a container has of networks", () => {
  test("is gone when it has ended", async () => {
    await engine.run(["-p", "8083:80", "busybox", "true"]);
    expect(await traces()).toBe("");
  });

  test("is given back by the next command when the one that ran it is killed", async () => {
    const running = engine.start([
      "run",
      "-p",
      "8084:80",
      "busybox",
      "sh",
      "-c",
      "echo up; sleep 60",
    ]);
    await running.waitForOutput(/up/);
    expect(await traces()).toContain("8084");
    running.kill("SIGKILL");
    await running.end();
    await engine.call(["ps", "-a"]);
    expect(await traces()).toBe("");
    const { out } = await engine.call(["ps", "-aq"]);
    await engine.call(["rm", out]);
  });

  test("is made again when somebody has flushed the firewall", async () => {
    await serve("old", "-p", "8085:80");
    await engine.host("nft flush ruleset");
    await engine.run(["busybox", "true"]);
    expect((await engine.other(curl(HOST4, 8085))).out).toBe(`hello ${OTHER4}`);
    await engine.call(["rm", "-f", "old"]);
    expect(await traces()).toBe("");
  });

  test("is unique when many start at once", async () => {
    const shared = engine.directory("at-once");
    // Each stays until all have one, so that none has an address that another has given back.
    const inside = `ip -4 -o addr show eth0 | grep -o "172[0-9.]*/"; touch /all/$(hostname)
      until [ -e /all/go ]; do sleep 0.1; done`;
    const script = `for i in $(seq 20); do $MYDOCKER run --rm -v ${shared}:/all busybox sh -c '${inside}' & done; wait`;
    const running = engine.bash(script, { timeout: 50_000 });
    await waitFor("all of them", () => readdirSync(shared).length === 20, 40_000);
    writeFileSync(join(shared, "go"), "");
    const addresses = (await running).out.split("\n");
    expect(addresses).toHaveLength(20);
    expect(new Set(addresses).size).toBe(20);
    await waitFor("nothing left", async () => (await traces()) === "");
  });
});

leavesNothingBehind(engine);
