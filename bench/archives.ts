/** An image of a Debian on its way out of a store and into one, beside Docker. */

import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { Engine } from "../test/helpers/cli.ts";
import { debianTarball, output } from "../test/helpers/debian.ts";
import { Dockerd } from "../test/helpers/dockerd.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, timeProgram } from "./tools/measure.ts";
import { ms, times, verdict } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

const NAME = "debian:bench";
/** The most that mydocker may take, in times of Docker's. */
const TARGET = 1;

/** Who is compared: how it is called. */
interface Client {
  readonly name: string;
  readonly command: (...args: readonly string[]) => string[];
}

/** `archives`: see the note that it returns. */
export const archives: Bench = async (session) => {
  const clients: Client[] = [
    { name: "mydocker", command: (...args) => [session.executable, ...args] },
  ];
  // Kept with gzip, as most registries have images.
  const plain = join(session.folder, "debian.tar");
  output(["zstd", "-q", "-d", "-o", plain, debianTarball()]);
  timeProgram(session, [session.executable, "import", plain, NAME]);
  rmSync(plain);
  const own = join(session.folder, "own.tar");
  timeProgram(session, [session.executable, "save", "-o", own, NAME]);
  const skipped: string[] = [];
  let theirs = own;
  try {
    const docker = await startDocker(session);
    timeProgram(session, docker.command("load", "-i", own));
    theirs = join(session.folder, "docker.tar");
    timeProgram(session, docker.command("save", "-o", theirs, NAME));
    clients.push(docker);
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] as string) : String(error);
    skipped.push(`docker: ${why}`);
  }
  const rounds = roundsOr(5);
  const rows: string[][] = [];
  const measures: Readonly<Record<string, (client: Client) => number>> = {
    save: ({ command, name }) => {
      const file = join(session.folder, `${name}-saved.tar`);
      const time = timeProgram(session, command("save", "-o", file, NAME));
      rmSync(file);
      return time;
    },
    "load of Docker's archive": (client) => load(session, client, theirs),
    "load of mydocker's archive": (client) => load(session, client, own),
  };
  for (const [what, measure] of Object.entries(measures)) {
    const candidates = clients.map((client) => ({
      name: client.name,
      measure: () => measure(client),
    }));
    const measured = await alternate(session, candidates, { rounds, warmUp: 1 });
    const mine = median(measured.get("mydocker") ?? []);
    for (const [name, values] of measured) {
      const ratio = mine / median(values);
      const judged = name === "mydocker" ? ["", ""] : [times(ratio), verdict(ratio, TARGET)];
      rows.push([`${name}: ${what}`, ms(median(values)), ...judged]);
    }
  }
  return {
    id: "archives",
    title: "Archives of images",
    note: `A Debian by debootstrap; its archive has ${megabytes(theirs)} as Docker saves it, and ${megabytes(own)} as mydocker does, \
which keeps layers compressed. The image is removed before each load, out of the time. Medians of ${rounds} rounds in alternation.`,
    table: { head: ["", "", "mydocker to it", "target"], rows },
    skipped,
  };
};

const megabytes = (file: string): string => `${(statSync(file).size / 1e6).toFixed(0)} MB`;

function load(session: Session, { command }: Client, file: string): number {
  timeProgram(session, command("rmi", "-f", NAME));
  timeProgram(session, ["/bin/sync", "-f", session.folder]);
  return timeProgram(session, command("load", "-q", "-i", file));
}

async function startDocker(session: Session): Promise<Client> {
  const engine = new Engine();
  session.undo.defer(() => engine.remove());
  const dockerd = new Dockerd(engine, "bench");
  session.undo.defer(() => dockerd.stop());
  await dockerd.start();
  return { name: "docker", command: (...args) => dockerd.command(args) };
}

if (import.meta.main) await runBenches([archives]);
