/** Networks beside Docker's and Podman's: a run with a published port, throughput, lookups of names. */

import { join } from "node:path";
import { Namespace } from "../test/helpers/net_hosts.ts";
import { type Client, prepareDocker, preparePodman } from "./life.ts";
import { unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, timeProgram } from "./tools/measure.ts";
import { ms, times } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

const LOOKUP = join(import.meta.dir, "programs/lookup.ts");
/** The most that a run with a published port may take, in times of others'. */
const RUN_TARGETS: Readonly<Record<string, number>> = {
  docker: 1 / 12,
  podman: 1 / 4,
  "mydocker, --network none": 1.6,
};
const CLIENTS = [1, 16, 256];
const SECONDS = 2;

type Command = (...args: readonly string[]) => string[];

/** `network`: see the note that it returns. */
export const network: Bench = async (session) => {
  unpackImage(session);
  keep(session.env);
  const host = new Namespace();
  session.undo.defer(() => host.end());
  const enter = ["/usr/bin/nsenter", ...host.enter.slice(1)];
  const own: Client = {
    name: "mydocker",
    command: (...args) => [...enter, session.executable, ...args],
    image: "busybox",
    monitor: "",
  };
  const [clients, skipped]: [Client[], string[]] = [[own], []];
  for (const [name, prepare] of [
    ["docker", prepareDocker],
    ["podman", preparePodman],
  ] as const) {
    try {
      const client = await prepare(session);
      const inside: Command = (...args) => [...enter, ...client.command(...args)];
      const placed = name === "podman" ? { ...client, command: inside } : client;
      timeProgram(session, placed.command("run", "--rm", "-p", "80", placed.image, "true"));
      clients.push(placed);
    } catch (error) {
      const why = error instanceof Error ? (error.message.split("\n")[0] as string) : String(error);
      skipped.push(`${name}: ${why}`);
    }
  }
  const rounds = roundsOr(20);
  const rows = await runRows(session, clients, rounds);
  const pairs = clients.filter(({ name }) => name !== "podman");
  for (const client of pairs) await makePair(session, client);
  try {
    rows.push(...(await throughputRows(pairs, skipped)), ...(await lookupRows(pairs)));
  } finally {
    for (const { command } of pairs) {
      timeProgram(session, command("rm", "-f", "measured1", "measured2"));
      timeProgram(session, command("network", "rm", "measured"));
    }
  }
  return {
    id: "network",
    title: "Networks",
    note: `\`run --rm --network bridge -p 8080:80 busybox true\` on the default bridge; mydocker and Podman in a network namespace of \
their own, as dockerd is; medians of ${rounds} rounds in alternation. Throughput: iperf3 for ${SECONDS} s, the best of three in \
alternation, in the network namespaces of two containers on a bridge. Lookups: a container's name at 127.0.0.11, so many clients at \
once, each asking again when it has its answer; per second.`,
    table: { head: ["", "", "mydocker to it", "target"], rows },
    skipped,
  };
};

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

async function makePair(session: Session, { command, image }: Client): Promise<void> {
  timeProgram(session, command("network", "create", "measured"));
  for (const name of ["measured1", "measured2"])
    timeProgram(
      session,
      command("run", "-d", "--name", name, "--network", "measured", image, "sleep", "100000"),
    );
}

/** What a program of this machine prints in the network namespace of a container. */
async function inside(pid: number, ...command: readonly string[]): Promise<string> {
  const child = Bun.spawn(["nsenter", `--net=/proc/${pid}/ns/net`, ...command], {
    stderr: "ignore",
  });
  const out = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed`);
  return out.trim();
}

function inspect({ command }: Client, name: string, template: string): string {
  const argv = command("inspect", "--format", template, name);
  const env = { ...process.env, ...ENVIRONMENT };
  return Bun.spawnSync(argv, { env, stderr: "ignore" }).stdout.toString().trim();
}

/** Of the session: where mydocker keeps its state. */
const ENVIRONMENT: Record<string, string> = {};

const keep = (env: readonly string[]) =>
  Object.assign(ENVIRONMENT, Object.fromEntries(env.map((each) => each.split("=", 2))));

const pidOf = (client: Client, name: string): number =>
  Number(inspect(client, name, "{{.State.Pid}}"));

async function throughputRows(clients: readonly Client[], skipped: string[]): Promise<string[][]> {
  if (Bun.which("iperf3") === null) {
    skipped.push("throughput: iperf3 is not installed");
    return [];
  }
  const best = new Map<string, number>();
  for (let round = 0; round < 3; round++) {
    for (const client of clients) {
      const bits = await throughput(client);
      best.set(client.name, Math.max(best.get(client.name) ?? 0, bits));
    }
  }
  return compare(
    best,
    "container to container",
    (bits) => `${(bits / 1e9).toFixed(1)} Gbit/s`,
    0.98,
  );
}

async function throughput(client: Client): Promise<number> {
  const template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
  const ip = inspect(client, "measured1", template);
  const server = Bun.spawn(
    ["nsenter", `--net=/proc/${pidOf(client, "measured1")}/ns/net`, "iperf3", "-s", "-1"],
    { stdout: "ignore", stderr: "ignore" },
  );
  await Bun.sleep(300);
  const asked = ["iperf3", "-c", ip, "-t", String(SECONDS), "-J"];
  const report = JSON.parse(await inside(pidOf(client, "measured2"), ...asked));
  await server.exited;
  return Number(report.end.sum_received.bits_per_second);
}

async function lookupRows(clients: readonly Client[]): Promise<string[][]> {
  const rows: string[][] = [];
  for (const count of CLIENTS) {
    const rates = new Map<string, number>();
    for (let round = 0; round < 3; round++) {
      for (const client of clients) {
        const asked = [process.execPath, LOOKUP, "measured1", String(count)];
        const rate = Number(await inside(pidOf(client, "measured2"), ...asked));
        rates.set(client.name, Math.max(rates.get(client.name) ?? 0, rate));
      }
    }
    rows.push(...compare(rates, `lookups, ${count} at once`, (rate) => `${rate.toFixed(0)}/s`, 1));
  }
  return rows;
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

if (import.meta.main) await runBenches([network]);
