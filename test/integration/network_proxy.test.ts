/** Published ports where the firewall redirects nothing: who comes to the socket is served by a proxy. */
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Engine, EXECUTABLE, type Result, useEngine } from "../helpers/cli.ts";
import { echoUdp, HOST4, HOST6, NetworkEngine, OTHER4, serveIn } from "../helpers/net_hosts.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = new NetworkEngine();
useEngine({ engine, before: async () => void (await engine.run(["busybox", "true"])) });
afterEach(async () => void (await engine.host("$MYDOCKER rm -f $($MYDOCKER ps -aq)")));

/** mydocker on a kernel that has no nf_tables, on another host. */
class OldEngine extends NetworkEngine {
  static readonly #wrapper = join(import.meta.dir, "../helpers/without_nftables.ts");

  override call(args: readonly string[], options = {}): Promise<Result> {
    return this.exec([process.execPath, OldEngine.#wrapper, EXECUTABLE, ...args], options);
  }
}
const old = new OldEngine();
useEngine({ engine: old, before: async () => void (await old.run(["busybox", "true"])) });
afterEach(async () => void (await old.host("$MYDOCKER rm -f $($MYDOCKER ps -aq)")));

const WARNING =
  /^mydocker: warning: this kernel has no nf_tables \(EPROTONOSUPPORT\): .* served by a proxy/;

/** A web server that says whom it is asked by. */
const WEB = `printf '#!/bin/sh\\necho; echo "hello $REMOTE_ADDR"\\n' > /tmp/who; mkdir -p /www/cgi-bin
  mv /tmp/who /www/cgi-bin/who; chmod +x /www/cgi-bin/who; exec busybox httpd -f -p 0.0.0.0:80 -h /www`;

/** Runs a container in the background. @returns what was said */
async function start(on: Engine, script: string, ...options: string[]): Promise<string> {
  const { exitCode, err } = await on.call([
    ...["run", "-d", ...options, "busybox", "sh", "-c", script],
  ]);
  expect({ exitCode, err: exitCode === 0 ? "" : err }).toEqual({ exitCode: 0, err: "" });
  return err;
}

/** Asks until somebody listens there. */
const curl = (ip: string, port: number) =>
  `curl -sg --retry 100 --retry-all-errors --retry-delay 0 --retry-max-time 15 --noproxy '*' http://${ip.includes(":") ? `[${ip}]` : ip}:${port}/cgi-bin/who`;

describe("a container that has IPv4 alone", () => {
  test("is reached by the host's ::1 and its addresses of IPv6, over TCP and UDP", async () => {
    await start(engine, WEB, "--name", "web", "-p", "8080:80", "-p", "5353:53/udp");
    await using _echo = await echoUdp(await engine.pidOf("web"), 53);
    const udp = (ip: string) =>
      `exec 3<>/dev/udp/${ip}/5353; echo there >&3; timeout 15 head -n 1 <&3`;
    for (const ip of ["::1", HOST6]) {
      const tcp = (await engine.host(curl(ip, 8080))).out;
      expect({ ip, tcp }).toEqual({ ip, tcp: "hello 172.17.0.1" });
      expect((await engine.host(udp(ip))).out).toBe("172.17.0.1 said there");
    }
    expect((await engine.other(curl(HOST6, 8080))).out).toBe("hello 172.17.0.1");
    expect((await engine.other(udp(HOST6))).out).toBe("172.17.0.1 said there");
    expect((await engine.other(curl(HOST4, 8080))).out).toBe(`hello ${OTHER4}`); // not by the proxy
    const { out } = await engine.call(["port", "web"]);
    expect(out.split("\n").sort()).toEqual([
      ...["53/udp -> 0.0.0.0:5353", "53/udp -> [::]:5353"],
      ...["80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"],
    ]);
  });

  test("is reached by an address of IPv6 that was asked for, also when it runs in the foreground", async () => {
    const run = engine.start(["run", "--rm", "-p", "[::1]:8081:80", "busybox", "sh", "-c", WEB]);
    expect((await engine.host(curl("::1", 8081))).out).toBe("hello 172.17.0.1");
    const { exitCode } = await engine.other(`curl -sg -m 5 'http://[${HOST6}]:8081/'`);
    expect(exitCode).toBe(7);
    run.kill("SIGTERM");
    await run.end();
    await using _free = await engine.serve(
      `require("node:net").createServer().listen(8081, "::1", () => console.log("ready"))`,
    );
  });
});

/** A server of TCP in a container: it hashes what it hears, and says that and 32 MB when it has heard the end. */
async function serveHashes(name: string): Promise<AsyncDisposable> {
  return await serveIn(
    await engine.pidOf(name),
    `const { createServer } = require("node:net"), { createHash } = require("node:crypto");
    createServer({ allowHalfOpen: true }, (socket) => {
      const hash = createHash("sha256");
      socket.on("data", (bytes) => hash.update(bytes)).on("error", () => {});
      socket.on("end", () => socket.end(hash.digest("hex") + "x".repeat(32 << 20)));
    }).listen(80, () => console.log("ready"));`,
  );
}

/** Sends so many bytes and then an end, reads after a pause; prints the hash and how much came. */
const CLIENT = `
  const { connect } = require("node:net"), { createHash } = require("node:crypto");
  const [host, size, count] = [process.argv[1], Number(process.argv[2]), Number(process.argv[3])];
  const bytes = require("node:crypto").randomBytes(size);
  const wanted = createHash("sha256").update(bytes).digest("hex");
  const one = () => new Promise((done, failed) => {
    const socket = connect({ host, port: 8080, allowHalfOpen: true }).on("error", failed);
    let heard = 0, start = "";
    socket.pause();
    setTimeout(() => socket.resume(), 300);
    socket.on("data", (data) => { if (heard < 64) start += data.toString().slice(0, 64 - heard); heard += data.length; });
    socket.on("end", () => done(start === wanted && heard === 64 + (32 << 20)));
    socket.end(bytes);
  });
  Promise.all(Array.from({ length: count }, one)).then(
    (all) => console.log(all.filter(Boolean).length), ({ message }) => console.log(message));`;

describe("the proxy", () => {
  const talk = (host: string, size: number, count: number) =>
    engine.host(`'${process.execPath}' -e '${CLIENT}' '${host}' ${size} ${count}`);

  test("loses no byte, keeps one direction open when the other has ended, and waits for slow readers", async () => {
    await start(engine, "sleep 100", "--name", "sink", "-p", "8080:80");
    await using _server = await serveHashes("sink");
    expect((await talk("::1", 48 << 20, 1)).out).toBe("1");
    expect((await talk("::1", 100_000, 8)).out).toBe("8");
  });

  test("serves more clients than a process has descriptors", async () => {
    const few =
      "ulimit -Sn 256; exec $MYDOCKER run -d --rm --name many -p 8080:80 busybox sleep 100";
    expect((await engine.host(few)).exitCode).toBe(0);
    await using _server = await serveIn(
      await engine.pidOf("many"),
      `require("node:net").createServer((socket) => socket.on("error", () => {}).on("data", (data) => socket.write(data)))
        .listen(80, () => console.log("ready"));`,
    );
    const script = `
      const { connect } = require("node:net");
      let heard = 0;
      const sockets = Array.from({ length: 400 }, () => connect(8080, "::1", function () { this.write("x"); })
        .on("error", ({ message }) => { console.log(message); process.exit(1); })
        .on("data", () => { if (++heard === 400) { console.log("all at once"); process.exit(); } }));`;
    expect((await engine.host(`'${process.execPath}' -e '${script}'`)).out).toBe("all at once");
  });

  test("breaks off a connection where nobody listens, and follows disconnect, connect and restart", async () => {
    await start(engine, WEB, "--name", "moves", "-p", "8080:80");
    expect((await engine.host(curl("::1", 8080))).out).toBe("hello 172.17.0.1");
    await engine.call(["update", "-p", "8081:81", "moves"]);
    const refused = async (port: number) => {
      const { exitCode } = await engine.host(`curl -sg -m 15 'http://[::1]:${port}/'`);
      expect(exitCode).toBeOneOf([7, 56]); // reset, before or after curl has sent its question
    };
    await refused(8081);
    await engine.call(["network", "create", "--subnet", "10.99.0.0/24", "other"]);
    await engine.call(["network", "disconnect", "bridge", "moves"]);
    await refused(8080);
    await engine.call(["network", "connect", "other", "moves"]);
    expect((await engine.host(curl("::1", 8080))).out).toBe("hello 10.99.0.1");
    expect((await engine.other(curl(HOST4, 8080))).out).toBe(`hello ${OTHER4}`);
    await engine.call(["restart", "-t", "0", "moves"]);
    expect((await engine.host(curl("::1", 8080))).out).toBe("hello 10.99.0.1");
    await engine.call(["rm", "-f", "moves"]);
    await engine.call(["network", "rm", "other"]);
  });

  test("passes on what a container said last", async () => {
    const last = "printf HELLO | busybox nc -l -p 80 >/dev/null";
    for (let turn = 0; turn < 5; turn++) {
      await start(engine, last, "--name", "last", "-p", "8080:80");
      const { out } = await engine.host(
        `for i in $(seq 300); do exec 3<>/dev/tcp/::1/8080 && word=$(timeout 15 cat <&3) && [ -n "$word" ] && break; sleep 0.02; done 2>/dev/null; echo $word`,
      );
      expect(out).toBe("HELLO");
      await engine.call(["wait", "last"]);
      await engine.call(["rm", "last"]);
    }
  });
});

describe("on a kernel without nf_tables", () => {
  test("published ports are served over TCP and UDP, and it is said what is not there", async () => {
    const said = await start(old, WEB, "--name", "web", "-p", "8080:80", "-p", "5353:53/udp");
    expect(said).toMatch(WARNING);
    await using _echo = await echoUdp(await old.pidOf("web"), 53);
    const from = { host: ["127.0.0.1", "::1", HOST4], other: [HOST4, HOST6] } as const;
    for (const who of ["host", "other"] as const) {
      for (const ip of from[who]) {
        const { out } = await old[who](curl(ip, 8080));
        expect({ who, ip, out }).toEqual({ who, ip, out: "hello 172.17.0.1" });
        const udp = `exec 3<>/dev/udp/${ip}/5353; echo there >&3; timeout 15 head -n 1 <&3`;
        expect((await old[who](udp)).out).toBe("172.17.0.1 said there");
      }
    }
    // Of another container, and of itself.
    const ask = ["busybox", "wget", "-q", "-O", "-", `http://${HOST4}:8080/cgi-bin/who`];
    expect((await old.run(["busybox", ...ask])).out).toBe("hello 172.17.0.1");
    expect((await old.call(["exec", "web", ...ask])).out).toBe("hello 172.17.0.1");
    const sctp = await old.run(["-p", "8081:80/sctp", "busybox", "true"]);
    expect(sctp.exitCode).toBe(125);
    expect(sctp.err).toContain("80/sctp: that needs nf_tables, which this kernel lacks");
  });

  test("containers find each other by name, and nothing is passed on between networks or out", async () => {
    for (const name of ["one", "two"]) await old.call(["network", "create", name]);
    await start(old, WEB, "--name", "ax", "--network", "one");
    await start(old, WEB, "--name", "bx", "--network", "two");
    const ask = (ip: string) => `timeout 2 busybox wget -q -O - http://${ip}/cgi-bin/who; echo $?`;
    const { out: ip } = await old.call([
      ...["inspect", "-f", "{{.NetworkSettings.Networks.two.IPAddress}}", "bx"],
    ]);
    await waitFor("its server", async () => {
      const { out } = await old.call(["exec", "bx", "sh", "-c", ask("127.0.0.1")]);
      return out.endsWith("0");
    });
    const script = `${ask("ax")}; ${ask(ip)}`;
    const { out } = await old.run(["--network", "one", "busybox", "sh", "-c", script]);
    expect(out).toMatch(/^hello .*\n0\n143$/);
    await using _listener = await old.serve(
      `require("node:net").createServer().listen(9001, "0.0.0.0", () => console.log("ready"))`,
    );
    const outside = `nc -w 1 ${OTHER4} 22 </dev/null; echo $?; nc -w 1 ${HOST4} 9001 </dev/null; echo $?`;
    const refused = await old.run(["busybox", "sh", "-c", outside]);
    expect(refused.out).toBe("1\n0"); // unanswered, where another machine would refuse; the host answers
    const sysctl = await old.host(`for link in $(ip -o link show type bridge | cut -d: -f2); do
      cat /proc/sys/net/ipv4/conf/$link/{forwarding,route_localnet}; done`);
    expect([...new Set(sysctl.out.split("\n"))]).toEqual(["0"]);
    await old.call(["rm", "-f", "ax", "bx"]);
    await old.call(["network", "rm", "one", "two"]);
  });
});
