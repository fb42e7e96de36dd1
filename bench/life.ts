/** Containers in the background beside Docker and Podman: their commands' times, and what is left running for each. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Engine } from "../test/helpers/cli.ts";
import { IMAGE as DOCKER_IMAGE, Dockerd } from "../test/helpers/dockerd.ts";
import { writeImageArchive } from "../test/helpers/image_archive.ts";
import { unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, timeProgram } from "./tools/measure.ts";
import { ms, times, verdict } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

/** The most that mydocker may take, in times of a peer's. */
const TARGETS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "run -d, until the id is printed": { docker: 1 / 8, podman: 1 / 3 },
  "exec true": { docker: 1 / 5 },
  "stop and rm of what ends at once": { docker: 1 / 4 },
};
/** Milliseconds before each measurement, in which daemons end what they do after they have answered. */
const REST = 200;
/** How many idle containers the memory is measured of: ours, and the peers'. */
const IDLE = 100;
const IDLE_PEERS = 20;
/** Megabytes that all our monitors together may take. */
const MOST_MEMORY = 600;

/** Who is compared: how it is called, and what stays running for each container. */
export interface Client {
  readonly name: string;
  readonly command: (...args: readonly string[]) => string[];
  readonly image: string;
  /** In the command line of what stays. */
  readonly monitor: string;
}

const TRAP = "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done";

/** `life`: see the note that it returns. */
export const life: Bench = async (session) => {
  unpackImage(session);
  const skipped: string[] = [];
  const own: Client = {
    name: "mydocker",
    command: (...args) => [session.executable, ...args],
    image: "busybox",
    monitor: "internal-monitor",
  };
  const clients = [own];
  for (const [name, prepare] of [
    ["docker", prepareDocker],
    ["podman", preparePodman],
  ] as const) {
    try {
      clients.push(await prepare(session));
    } catch (error) {
      const why = error instanceof Error ? (error.message.split("\n")[0] as string) : String(error);
      skipped.push(`${name}: ${why}`);
    }
  }
  const rounds = roundsOr(20);
  const rows: string[][] = [];
  for (const [what, measure] of Object.entries(MEASURES)) {
    const candidates = clients.map((client) => ({
      name: client.name,
      measure: measure(session, client),
    }));
    const measured = await alternate(session, candidates, {
      rounds,
      warmUp: 2,
      rest: REST,
      synced: true,
    });
    rows.push(...rowsOf(what, measured));
    for (const client of clients) removeAll(session, client, ["measured"]);
  }
  for (const client of clients) rows.push(await memoryRow(session, client));
  return {
    id: "life",
    title: "Containers in the background",
    note: `The same busybox with \`--network none\`; medians of ${rounds} rounds in alternation, each after ${REST} ms of rest and with everything on the disk that was written before, so that nobody waits for what another one left. Memory: the proportional \
set size (PSS) of what stays for ${IDLE} idle containers of mydocker and ${IDLE_PEERS} of each peer; Docker's daemons, which stay as well, are not counted.`,
    table: { head: ["", "", "mydocker to it", "target"], rows },
    skipped,
  };
};

/** What is measured: milliseconds of one time. */
const MEASURES: Readonly<Record<string, (session: Session, client: Client) => () => number>> = {
  "run -d, until the id is printed": (session, client) => () => {
    const time = timeProgram(session, runIdle(client, "measured"));
    removeAll(session, client, ["measured"]);
    return time;
  },
  "exec true": (session, client) => {
    timeProgram(session, runIdle(client, "measured"));
    return () => timeProgram(session, client.command("exec", "measured", "true"));
  },
  "stop and rm of what ends at once": (session, client) => () => {
    timeProgram(session, [...runIdle(client, "measured").slice(0, -2), "sh", "-c", TRAP]);
    return (
      timeProgram(session, client.command("stop", "measured")) +
      timeProgram(session, client.command("rm", "measured"))
    );
  },
};

const runIdle = ({ command, image }: Client, name: string): string[] =>
  command("run", "-d", "--name", name, "--network", "none", image, "sleep", "100000");

/** Removes containers by force. */
export function removeAll(session: Session, { command }: Client, names: readonly string[]): void {
  timeProgram(session, command("rm", "-f", ...names));
}

function rowsOf(what: string, measured: ReadonlyMap<string, number[]>): string[][] {
  const own = median(measured.get("mydocker") ?? []);
  return [...measured].map(([name, values]) => {
    const ratio = own / median(values);
    const target = TARGETS[what]?.[name];
    return [
      `${name}: ${what}`,
      ms(median(values)),
      name === "mydocker" ? "" : times(ratio),
      target === undefined ? "" : `≤ ${target.toFixed(3)} ${ratio <= target ? "PASS" : "over"}`,
    ];
  });
}

/** What stays for each of many idle containers. */
async function memoryRow(session: Session, client: Client): Promise<string[]> {
  const isOwn = client.name === "mydocker";
  const names = Array.from({ length: isOwn ? IDLE : IDLE_PEERS }, (_, index) => `idle${index}`);
  const before = new Set(processesWith(client.monitor));
  try {
    for (const name of names) {
      timeProgram(session, runIdle(client, name));
      await session.checkpoint();
    }
    await Bun.sleep(500);
    const pids = processesWith(client.monitor).filter((pid) => !before.has(pid));
    const kilobytes = pids.reduce((sum, pid) => sum + pssOf(pid), 0);
    const each = kilobytes / names.length / 1000;
    const all = kilobytes / 1000;
    return [
      `${client.name}: PSS of what stays for ${names.length} idle containers`,
      `${all.toFixed(0)} MB, ${each.toFixed(1)} MB each`,
      "",
      isOwn ? verdict(all, MOST_MEMORY) : "",
    ];
  } finally {
    removeAll(session, client, names);
  }
}

/** Pids of processes in whose command line there is this. */
function processesWith(words: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(words);
      } catch {
        return false; // it has just ended
      }
    });
}

function pssOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss: +(\d+) kB$/m.exec(text)?.[1] ?? 0);
  } catch {
    return 0; // it has just ended
  }
}

/** dockerd with an image, until the session ends. @throws {Error} without */
export async function prepareDocker(session: Session): Promise<Client> {
  for (const program of ["dockerd", "docker"]) {
    if (Bun.which(program) === null) throw new Error(`${program} is not installed`);
  }
  const engine = new Engine();
  session.undo.defer(() => engine.remove());
  const docker = new Dockerd(engine, "docker");
  session.undo.defer(() => docker.stop());
  session.undo.defer(() => docker.removeContainers());
  await docker.start();
  return {
    name: "docker",
    command: (...args) =>
      docker.command(args).map((word, index) => (index === 0 ? which(word) : word)),
    image: DOCKER_IMAGE,
    monitor: "containerd-shim",
  };
}

/** Podman with an image. @throws {Error} without */
export async function preparePodman(session: Session): Promise<Client> {
  const podman = which("podman");
  // Podman takes no path of its run directory that is longer than 50 bytes.
  const folder = mkdtempSync(join(tmpdir(), "mydocker-podman-"));
  session.undo.defer(() => {
    Bun.spawnSync(["umount", "--quiet", join(folder, "root/overlay")]); // which it leaves
    rmSync(folder, { recursive: true, force: true });
  });
  const configuration = join(folder, "containers.conf");
  // Its own default is more than a process may have that lacks CAP_SYS_RESOURCE.
  writeFileSync(
    configuration,
    '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n[engine]\nevents_logger = "file"\nlock_type = "file"\n',
  );
  const command = (...args: readonly string[]) => [
    ...["/usr/bin/env", `CONTAINERS_CONF=${configuration}`, podman],
    ...["--root", join(folder, "root"), "--runroot", join(folder, "run")],
    ...["--tmpdir", join(folder, "tmp"), "--runtime", which("runc")],
    ...["--cgroup-manager", "cgroupfs", ...args],
  ];
  const file = join(folder, "image.tar");
  writeImageArchive(file, "localhost/busybox:test");
  timeProgram(session, command("load", "--input", file));
  session.undo.defer(() => {
    timeProgram(session, command("rm", "--all", "--force"));
  });
  const client = { name: "podman", command, image: "localhost/busybox:test", monitor: "conmon" };
  timeProgram(session, runIdle(client, "probe"));
  removeAll(session, client, ["probe"]);
  return client;
}

function which(program: string): string {
  if (program.startsWith("/")) return program;
  const found = Bun.which(program);
  if (found === null) throw new Error(`${program} is not installed`);
  return found;
}

if (import.meta.main) await runBenches([life]);
