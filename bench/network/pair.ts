/** Two containers of each engine on a network that somebody made: throughput, and lookups of names. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "../life.ts";
import { timeProgram } from "../tools/measure.ts";
import { times } from "../tools/report.ts";
import type { Session } from "../tools/session.ts";

const LOOKUP = join(import.meta.dir, "../programs/lookup.ts");
const CLIENTS = [1, 16, 256];
/** How long iperf3 sends. */
export const SECONDS = 2;
const ROUNDS = 3;

/** Makes them, and removes them with the session. */
export function makePair(session: Session, { command, image }: Client): void {
  timeProgram(session, command("network", "create", "measured"));
  session.undo.defer(() => {
    timeProgram(session, command("network", "rm", "measured"));
  });
  for (const name of ["measured1", "measured2"]) {
    timeProgram(
      session,
      command("run", "-d", "--name", name, "--network", "measured", image, "sleep", "100000"),
    );
    session.undo.defer(() => {
      timeProgram(session, command("rm", "-f", name));
    });
  }
}

const enterNetwork = (pid: number): string[] => ["nsenter", `--net=/proc/${pid}/ns/net`];

/** What a program of this machine prints in the network namespace of a process. */
async function inside(pid: number, ...command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...enterNetwork(pid), ...command], { stderr: "ignore" });
  const out = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed`);
  return out.trim();
}

function inspect(session: Session, { command }: Client, name: string, template: string): string {
  const env = Object.fromEntries(session.env.map((each) => each.split("=", 2)));
  const argv = command("inspect", "--format", template, name);
  return Bun.spawnSync(argv, { env, stderr: "ignore" }).stdout.toString().trim();
}

const pidOf = (session: Session, client: Client, name: string): number =>
  Number(inspect(session, client, name, "{{.State.Pid}}"));

/** What started it, which is in the engine's own network. */
function parentOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]);
}

/** The best of some rounds in alternation, by engine. */
async function bestOf(
  clients: readonly Client[],
  measure: (client: Client) => Promise<number>,
): Promise<Map<string, number>> {
  const best = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const client of clients) {
      const value = await measure(client);
      best.set(client.name, Math.max(best.get(client.name) ?? 0, value));
    }
  }
  return best;
}

/** iperf3 to a container: from another one, and from the host. */
export async function throughputRows(
  session: Session,
  clients: readonly Client[],
): Promise<string[][]> {
  const rows: string[][] = [];
  for (const from of ["container", "host"] as const) {
    const best = await bestOf(clients, (client) => throughput(session, client, from));
    const show = (bits: number) => `${(bits / 1e9).toFixed(1)} Gbit/s`;
    rows.push(...compare(best, `${from} to container`, show, 0.98));
  }
  return rows;
}

async function throughput(
  session: Session,
  client: Client,
  from: "container" | "host",
): Promise<number> {
  const template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
  const ip = inspect(session, client, "measured1", template);
  const first = pidOf(session, client, "measured1");
  const sender = from === "host" ? parentOf(first) : pidOf(session, client, "measured2");
  const server = Bun.spawn([...enterNetwork(first), "iperf3", "-s", "-1"], {
    stdout: "ignore",
    stderr: "ignore",
  });
  await Bun.sleep(300);
  const report = JSON.parse(await inside(sender, "iperf3", "-c", ip, "-t", `${SECONDS}`, "-J"));
  await server.exited;
  return Number(report.end.sum_received.bits_per_second);
}

/** How many lookups of a name a container gets in a second. */
export async function lookupRows(
  session: Session,
  clients: readonly Client[],
): Promise<string[][]> {
  const rows: string[][] = [];
  for (const count of CLIENTS) {
    const best = await bestOf(clients, (client) =>
      lookups(pidOf(session, client, "measured2"), "measured1", count),
    );
    rows.push(...compare(best, `lookups, ${count} at once`, (rate) => `${rate.toFixed(0)}/s`, 1));
  }
  return rows;
}

/** Lookups per second in the network of a process. @param names how many names are asked for in turn, by number */
export async function lookups(
  pid: number,
  name: string,
  clients: number,
  names = 0,
): Promise<number> {
  return Number(await inside(pid, process.execPath, LOOKUP, name, `${clients}`, `${names}`));
}

/** More is better. */
function compare(
  found: ReadonlyMap<string, number>,
  what: string,
  show: (value: number) => string,
  least: number,
): string[][] {
  const mine = found.get("mydocker") ?? 0;
  return [...found].map(([name, value]) =>
    name === "mydocker"
      ? [`${name}: ${what}`, show(value), "", ""]
      : [
          `${name}: ${what}`,
          show(value),
          times(mine / value),
          `≥ ${least} ${mine / value >= least ? "PASS" : "under"}`,
        ],
  );
}
