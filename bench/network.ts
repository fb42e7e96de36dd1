/**
 * Networks beside Docker's and Podman's. `--only runs,throughput,lookups,leaks,many` measures these parts
 * alone, `--runs N` says how many runs are looked at for what they leave, `--many N,N` how many containers
 * are on one network.
 */

import { Namespace } from "../test/helpers/net_hosts.ts";
import { type Client, prepareDocker, preparePodman } from "./life.ts";
import { leakRows } from "./network/leaks.ts";
import { manyRows } from "./network/many.ts";
import { lookupRows, makePair, SECONDS, throughputRows } from "./network/pair.ts";
import { unpackImage } from "./tools/image.ts";
import { type Bench, optionOr, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, timeProgram } from "./tools/measure.ts";
import { ms, times } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

/** The most that a run with a published port may take, in times of others'. */
const RUN_TARGETS: Readonly<Record<string, number>> = {
  docker: 1 / 12,
  podman: 1 / 4,
  "mydocker, --network none": 1.6,
};
const PARTS = ["runs", "throughput", "lookups", "leaks", "many"];

type Command = (...args: readonly string[]) => string[];

/** `network`: see the note that it returns. */
export const network: Bench = async (session) => {
  const parts = optionOr("--only", PARTS.join(",")).split(",");
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Error(`--only: no part is called ${unknown}`);
  const runs = Number(optionOr("--runs", "50"));
  const counts = optionOr("--many", "50,100,200").split(",").map(Number);
  unpackImage(session);
  const host = new Namespace();
  session.undo.defer(() => host.end());
  const enter = ["/usr/bin/nsenter", ...host.enter.slice(1)];
  const own: Client = {
    name: "mydocker",
    command: (...args) => [...enter, session.executable, ...args],
    image: "busybox",
    monitor: "",
  };
  const skipped: string[] = [];
  const has = (part: string) => parts.includes(part);
  const peers = await preparePeers(session, enter, skipped, {
    docker: has("runs") || has("throughput") || has("lookups"),
    podman: has("runs"),
  });
  const rounds = roundsOr(20);
  const rows: string[][] = [];
  if (has("runs")) rows.push(...(await runRows(session, [own, ...peers], rounds)));
  const pairs = [own, ...peers.filter(({ name }) => name !== "podman")];
  if (has("throughput") || has("lookups")) for (const each of pairs) makePair(session, each);
  if (has("throughput") && Bun.which("iperf3") === null)
    skipped.push("throughput: iperf3 is not installed");
  else if (has("throughput")) rows.push(...(await throughputRows(session, pairs)));
  if (has("lookups")) rows.push(...(await lookupRows(session, pairs)));
  if (has("leaks")) rows.push(...(await leakRows(session, own, enter, runs)));
  if (has("many")) rows.push(...(await manyRows(session, own, counts)));
  return {
    id: "network",
    title: "Networks",
    note: `\`run --rm --network bridge -p 8080:80 busybox true\` on the default bridge; mydocker and Podman in a network namespace of \
their own, as dockerd is; medians of ${rounds} rounds in alternation. Throughput: iperf3 for ${SECONDS} s, the best of three in \
alternation, in the network namespaces of two containers on a bridge, or of the host and one. Lookups: a container's name at \
127.0.0.11, so many clients at once, each asking again when it has its answer; per second, the best of three. What is left: links, \
rules of the firewall, leases, namespaces and files that were not there before. Many: the median of the last ten starts, and one client \
that asks for all names in turn.`,
    table: { head: ["", "", "mydocker to it", "target"], rows },
    skipped,
  };
};

/** Those that are there and wanted. */
async function preparePeers(
  session: Session,
  enter: readonly string[],
  skipped: string[],
  wanted: Readonly<Record<"docker" | "podman", boolean>>,
): Promise<Client[]> {
  const peers: Client[] = [];
  for (const [name, prepare] of [
    ["docker", prepareDocker],
    ["podman", preparePodman],
  ] as const) {
    if (!wanted[name]) continue;
    try {
      const client = await prepare(session);
      const inside: Command = (...args) => [...enter, ...client.command(...args)];
      const placed = name === "podman" ? { ...client, command: inside } : client;
      timeProgram(session, placed.command("run", "--rm", "-p", "80", placed.image, "true"));
      peers.push(placed);
    } catch (error) {
      const why = error instanceof Error ? (error.message.split("\n")[0] as string) : String(error);
      skipped.push(`${name}: ${why}`);
    }
  }
  return peers;
}

async function runRows(session: Session, clients: readonly Client[], rounds: number) {
  const published = clients.map(({ name, command, image }) => ({
    name,
    measure: () =>
      timeProgram(
        session,
        command("run", "--rm", "--network", "bridge", "-p", "8080:80", image, "true"),
      ),
  }));
  const { command, image } = clients[0] as Client;
  const plain = () =>
    timeProgram(session, command("run", "--rm", "--network", "none", image, "true"));
  const candidates = [...published, { name: "mydocker, --network none", measure: plain }];
  const measured = await alternate(session, candidates, { rounds, warmUp: 2 });
  const mine = median(measured.get("mydocker") ?? []);
  return [...measured].map(([name, values]) => {
    const [time, target] = [median(values), RUN_TARGETS[name]];
    const judgement =
      target === undefined
        ? ""
        : `≤ ${target.toFixed(3)} ${mine / time <= target ? "PASS" : "over"}`;
    return [`${name}: run`, ms(time), name === "mydocker" ? "" : times(mine / time), judgement];
  });
}

if (import.meta.main) await runBenches([network]);
