/** Containers of a Debian, and with one in their own layer, that become images, beside Docker. */

import { join } from "node:path";
import { output } from "../build/command.ts";
import { Engine } from "../test/helpers/cli.ts";
import { debianTarball } from "../test/helpers/debian.ts";
import { Dockerd } from "../test/helpers/dockerd.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, timeProgram } from "./tools/measure.ts";
import { ms, times, verdict } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

const IMAGE = "debian:bench";
/** The most that mydocker may take, in times of Docker's. */
const TARGET = 1;
const COMMITTED = "committed:bench";

/** Who is compared: how it is called. */
interface Client {
  readonly name: string;
  readonly command: (...args: readonly string[]) => string[];
}

/** `commit`: see the note that it returns. */
export const commit: Bench = async (session) => {
  const own: Client = {
    name: "mydocker",
    command: (...args) => [session.executable, ...args],
  };
  // As a plain tar: Docker 20.10 reads no zstd.
  const plain = join(session.folder, "debian.tar");
  output(["zstd", "-q", "-d", debianTarball(), "-o", plain]);
  timeProgram(session, own.command("import", plain, IMAGE));
  const archive = join(session.folder, "image.tar");
  timeProgram(session, own.command("save", "-o", archive, IMAGE));
  const clients = [own];
  const skipped: string[] = [];
  try {
    const docker = await startDocker(session);
    timeProgram(session, docker.command("load", "-i", archive));
    clients.push(docker);
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] as string) : String(error);
    skipped.push(`docker: ${why}`);
  }
  const tree = session.directory("tree");
  output(["tar", "--zstd", "-xpf", debianTarball(), "-C", tree]);
  for (const { command } of clients) {
    timeProgram(session, command("create", "--name", "little", IMAGE, "true"));
    timeProgram(session, command("cp", import.meta.filename, "little:/etc/new"));
    timeProgram(session, command("create", "--name", "much", IMAGE, "true"));
    timeProgram(session, command("cp", tree, "much:/copy"));
  }
  const rounds = roundsOr(5);
  const rows: string[][] = [];
  for (const [what, container] of [
    ["one new file", "little"],
    ["a copy of that Debian", "much"],
  ] as const) {
    const candidates = clients.map((client) => ({
      name: client.name,
      measure: () => commitOnce(session, client, container),
    }));
    const measured = await alternate(session, candidates, { rounds, warmUp: 1 });
    const mine = median(measured.get("mydocker") ?? []);
    for (const [name, values] of measured) {
      const ratio = mine / median(values);
      const judged = name === "mydocker" ? ["", ""] : [times(ratio), verdict(ratio, TARGET)];
      rows.push([`${name}: ${what}`, ms(median(values)), ...judged]);
    }
  }
  for (const { command } of clients) timeProgram(session, command("rm", "-f", "little", "much"));
  return {
    id: "commit",
    title: "Commit",
    note: `Containers of a Debian by debootstrap with one file, or a whole Debian (${output(["du", "-sm", tree]).split("\t")[0]} MB in ${output(["find", tree]).split("\n").length} files), in their own \
layer. What was made is removed before the next, out of the time. Medians of ${rounds} rounds in alternation.`,
    table: { head: ["", "", "mydocker to it", "target"], rows },
    skipped,
  };
};

function commitOnce(session: Session, { command }: Client, container: string): number {
  timeProgram(session, ["/bin/sync", "-f", session.folder]);
  const time = timeProgram(session, command("commit", container, COMMITTED));
  timeProgram(session, command("rmi", COMMITTED));
  return time;
}

async function startDocker(session: Session): Promise<Client> {
  const engine = new Engine();
  session.undo.defer(() => engine.remove());
  const dockerd = new Dockerd(engine, "bench");
  session.undo.defer(() => dockerd.stop());
  await dockerd.start();
  return { name: "docker", command: (...args) => dockerd.command(args) };
}

if (import.meta.main) await runBenches([commit]);
