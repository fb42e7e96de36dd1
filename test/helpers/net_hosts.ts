/**
 * Machines made of network namespaces: the host that mydocker runs on, and another machine on its
 * network. This machine's own links, routes and firewall are not touched.
 */
import { join } from "node:path";
import { Engine, type Result } from "./cli.ts";

const DNS_PEER = join(import.meta.dir, "dns_peer.ts");

/** Runs a command to its end; throws with what it said if it fails. */
function must(command: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync([...command], { stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

/** A network namespace, held by a process. */
export class Namespace {
  readonly #holder = Bun.spawn(["unshare", "--net", "sleep", "infinity"]);
  readonly pid = this.#holder.pid;

  constructor() {
    const own = Bun.spawnSync(["readlink", "/proc/self/ns/net"]).stdout.toString();
    for (let attempt = 0; attempt < 500; attempt++) {
      const link = Bun.spawnSync(["readlink", `/proc/${this.pid}/ns/net`]).stdout.toString();
      if (link !== "" && link !== own) break;
      Bun.sleepSync(2);
    }
    must([...this.enter, "ip", "link", "set", "lo", "up"]);
  }

  get enter(): string[] {
    return ["nsenter", `--net=/proc/${this.pid}/ns/net`];
  }

  end(): void {
    this.#holder.kill("SIGKILL");
  }
}

/** The host's addresses on the network that it shares with the other machine, and that one's. */
export const HOST4 = "203.0.113.1";
export const OTHER4 = "203.0.113.2";
export const HOST6 = "2001:db8::1";
export const OTHER6 = "2001:db8::2";

/** An engine on a host of its own, with another machine beside it. */
export class NetworkEngine extends Engine {
  readonly #host = new Namespace();
  readonly #other = new Namespace();
  override readonly prefix = this.#host.enter;

  constructor() {
    super();
    const [host, other] = [this.#host.enter, this.#other.enter];
    const ip = (enter: readonly string[], text: string) =>
      must([...enter, "ip", ...text.split(" ")]);
    ip(host, `link add up0 type veth peer name up0 netns ${this.#other.pid}`);
    for (const [enter, v4, v6] of [
      [host, HOST4, HOST6],
      [other, OTHER4, OTHER6],
    ] as const) {
      ip(enter, `addr add ${v4}/24 dev up0`);
      ip(enter, `addr add ${v6}/64 dev up0 nodad`);
      ip(enter, "link set up0 up");
    }
    Object.assign(this.env, { MYDOCKER_NETWORK: "" });
  }

  /** A bash script on the host. */
  host(script: string): Promise<Result> {
    return this.bash(script);
  }

  /** A bash script on the other machine. */
  other(script: string): Promise<Result> {
    // Out of the host's namespace, into the other's.
    return this.exec(
      ["nsenter", `--net=/proc/${this.#other.pid}/ns/net`, "bash", "-c", script],
      {},
    );
  }

  /** The first process of a running container. */
  async pidOf(name: string): Promise<number> {
    const { out } = await this.call(["inspect", "--format", "{{.State.Pid}}", name]);
    return Number(out);
  }

  /** A name server at an address of the host, or of the other machine (dns_peer.ts). */
  async serveDns(where: "host" | "other", address: string): Promise<AsyncDisposable> {
    const enter = where === "host" ? this.#host.enter : this.#other.enter;
    return await peer([...enter, process.execPath, DNS_PEER, "serve", address]);
  }

  /** A program of JavaScript on the host that prints something when it is ready. */
  async serve(script: string): Promise<AsyncDisposable> {
    return await peer([...this.#host.enter, process.execPath, "-e", script]);
  }

  /** What the resolver of a container says. */
  async askDns(container: string, name: string, type = "A", protocol = "udp"): Promise<string> {
    const enter = ["nsenter", `--net=/proc/${await this.pidOf(container)}/ns/net`];
    const command = [process.execPath, DNS_PEER, "ask", "127.0.0.11", name, type, protocol];
    return (await this.exec([...enter, ...command], {})).out;
  }

  /** Somebody in a container who never stops asking its resolver for a name. */
  async pesterDns(container: string, name: string): Promise<AsyncDisposable> {
    const enter = ["nsenter", `--net=/proc/${await this.pidOf(container)}/ns/net`];
    return await peer([...enter, process.execPath, DNS_PEER, "pester", "127.0.0.11", name, "A"]);
  }

  override remove(): void {
    super.remove();
    this.#host.end();
    this.#other.end();
  }
}

/** A server in the network namespace of a process that says who said what to it. */
export async function echoUdp(pid: number, port: number): Promise<AsyncDisposable> {
  const script = `
    const { createSocket } = require("node:dgram");
    const socket = createSocket("udp4", (text, { address, port }) =>
      socket.send(address + " said " + text, port, address));
    socket.bind(${port}, () => console.log("ready"));`;
  return await serveIn(pid, script);
}

/** A program of JavaScript in the network namespace of a process that prints something when it is ready. */
export async function serveIn(pid: number, script: string): Promise<AsyncDisposable> {
  return await peer(["nsenter", `--net=/proc/${pid}/ns/net`, process.execPath, "-e", script]);
}

/** Something that says when it is ready. @throws {Error} when it ends without */
async function peer(command: readonly string[]): Promise<AsyncDisposable> {
  const server = Bun.spawn([...command], { stdout: "pipe", stderr: "inherit" });
  const { done } = await server.stdout.getReader().read();
  if (done) throw new Error(`it ended before it was ready: ${command.join(" ")}`);
  return {
    [Symbol.asyncDispose]: async () => {
      server.kill("SIGKILL");
      await server.exited;
    },
  };
}
