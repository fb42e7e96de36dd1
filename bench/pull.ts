/** Pulling and pushing a Debian, beside Docker and Podman: the same registry, a cold store. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { P_PID, waitExit } from "../src/linux/process.ts";
import { Engine } from "../test/helpers/cli.ts";
import { DockerRegistry } from "../test/helpers/docker_registry.ts";
import { Dockerd } from "../test/helpers/dockerd.ts";
import { debianLayersLayout, debianLayout } from "../test/helpers/oci_images.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, spawn, timeProgram } from "./tools/measure.ts";
import { ms, times, verdict } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

/** The most that mydocker may take, in times of a peer's. */
const TARGETS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  pull: { docker: 0.6, podman: 0.8 },
  push: { docker: 1 },
};
/** Megabytes that a pull may take, with all of its processes. */
const MOST_MEMORY = 200;

interface Client {
  readonly name: string;
  readonly command: (...args: readonly string[]) => string[];
  /** What its commands are told of a registry without TLS. */
  readonly plain: readonly string[];
}

/** `pull`: see the note that it returns. */
export const pull: Bench = async (session) => {
  const engine = new Engine();
  session.undo.defer(() => engine.remove());
  const source = await DockerRegistry.start(engine, "source");
  const target = await DockerRegistry.start(engine, "target");
  const [one, twenty] = [debianLayout(), debianLayersLayout()];
  source.push(`oci:${one}:debian`, "one");
  source.push(`oci:${twenty}:debian20`, "twenty");
  const own: Client = {
    name: "mydocker",
    command: (...args) => [session.executable, ...args],
    plain: [],
  };
  const clients = [own];
  const skipped: string[] = [];
  for (const [name, prepare] of [
    ["docker", () => prepareDocker(session, engine, [source, target])],
    ["podman", () => preparePodman(session)],
  ] as const) {
    try {
      clients.push(await prepare());
    } catch (error) {
      const why = error instanceof Error ? (error.message.split("\n")[0] as string) : String(error);
      skipped.push(`${name}: ${why}`);
    }
  }
  const rounds = roundsOr(5);
  const rows: string[][] = [];
  const forget = ({ command }: Client, name: string) => {
    timeProgram(session, [
      "/bin/sh",
      "-c",
      '"$@" >/dev/null 2>&1 || :',
      "sh",
      ...command("rmi", "-f", name),
    ]);
  };
  for (const [what, image] of [
    ["one layer", "one"],
    ["20 layers", "twenty"],
  ] as const) {
    const name = `${source.host}/${image}`;
    const candidates = clients.map((client) => ({
      name: client.name,
      measure: () => {
        forget(client, name);
        return timeProgram(session, client.command("pull", "-q", ...client.plain, name));
      },
    }));
    const measured = await alternate(session, candidates, { rounds, warmUp: 1 });
    rows.push(...rowsOf("pull", what, measured));
    const there = `${target.host}/${image}`;
    for (const { command } of clients) timeProgram(session, command("tag", name, there));
    const pushes = clients.map((client) => ({
      name: client.name,
      measure: () => {
        rmSync(join(target.folder, "data"), { recursive: true, force: true });
        return timeProgram(session, client.command("push", "-q", ...client.plain, there));
      },
    }));
    rows.push(...rowsOf("push", what, await alternate(session, pushes, { rounds, warmUp: 1 })));
    forget(own, there);
    forget(own, name);
    const peak = await peakMemory(session, own.command("pull", "-q", name));
    rows.push([
      `mydocker: memory of pull, ${what}, all processes (PSS)`,
      `${peak.toFixed(0)} MB`,
      "",
      verdict(peak, MOST_MEMORY),
    ]);
  }
  rows.push(...(await boundRows(session, source, one, rounds)));
  return {
    id: "pull",
    title: "Images from and to a registry",
    note: `A Debian of ${megabytes(one)} MB, compressed, as one layer and cut into 20, from Debian's docker-registry on loopback, into a store that does not have it; \`push\` to a registry that is empty. Medians of ${rounds} rounds in alternation. The lower part is what the layer's parts take by themselves, with other programs.`,
    table: { head: ["", "", "mydocker to it", "target"], rows },
    skipped,
  };
};

function rowsOf(verb: string, what: string, measured: ReadonlyMap<string, number[]>): string[][] {
  const own = median(measured.get("mydocker") ?? []);
  return [...measured].map(([name, values]) => {
    const ratio = own / median(values);
    const target = TARGETS[verb]?.[name];
    return [
      `${name}: ${verb}, ${what}`,
      ms(median(values)),
      name === "mydocker" ? "" : times(ratio),
      target === undefined ? "" : `≤ ${target.toFixed(1)} ${ratio <= target ? "PASS" : "over"}`,
    ];
  });
}

/** The only large blob of a layout. */
function largestBlob(layout: string): string {
  const folder = join(layout, "blobs/sha256");
  const sized = readdirSync(folder).map((name) => join(folder, name));
  return sized.reduce((a, b) => (Bun.file(a).size > Bun.file(b).size ? a : b));
}

const megabytes = (layout: string): string => (Bun.file(largestBlob(layout)).size / 1e6).toFixed(0);

/** What the parts of a pull take by themselves. */
async function boundRows(
  session: Session,
  registry: DockerRegistry,
  layout: string,
  rounds: number,
): Promise<string[][]> {
  const blob = largestBlob(layout);
  const url = `http://${registry.host}/v2/one/blobs/sha256:${blob.slice(-64)}`;
  const folder = session.directory("bounds");
  const shell = (script: string) => ["/bin/bash", "-euc", script, "bash", blob, folder, url];
  timeProgram(session, shell('zcat "$1" > "$2/layer.tar"'));
  const parts: Readonly<Record<string, string>> = {
    "network: curl to /dev/null": 'curl -sf "$3" > /dev/null',
    "inflate: zcat to /dev/null": 'zcat "$1" > /dev/null',
    "hash: sha256sum of the blob and of the tar": 'sha256sum "$1" "$2/layer.tar" > /dev/null',
    "file system: tar x of the tar":
      'rm -rf "$2/t"; mkdir "$2/t"; tar -C "$2/t" -xf "$2/layer.tar"',
    "zcat to tar x": 'rm -rf "$2/t"; mkdir "$2/t"; zcat "$1" | tar -C "$2/t" -xf -',
  };
  const candidates = Object.entries(parts).map(([name, script]) => ({
    name,
    measure: () => {
      timeProgram(session, shell('rm -rf "$2/t"'));
      return timeProgram(session, shell(script));
    },
  }));
  const measured = await alternate(session, candidates, { rounds, warmUp: 1 });
  return [...measured].map(([name, values]) => [name, ms(median(values)), "", ""]);
}

/** Megabytes of a command with all of its children, at their peak. */
async function peakMemory(session: Session, argv: readonly string[]): Promise<number> {
  const pid = spawn(session, argv);
  let peak = 0;
  while (isRunning(pid)) {
    const kilobytes = [pid, ...childrenOf(pid)].reduce((sum, each) => sum + pssOf(each), 0);
    peak = Math.max(peak, kilobytes / 1000);
    await Bun.sleep(10);
  }
  const status = waitExit(P_PID, pid);
  if (status?.code !== 0) throw session.failure(argv, status?.code);
  return peak;
}

/** Whether a child has not ended, as its state says (proc_pid_stat(5)). */
function isRunning(pid: number): boolean {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text[text.lastIndexOf(")") + 2] !== "Z";
}

function childrenOf(pid: number): number[] {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    return tasks.flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8")
        .split(" ")
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    return []; // it has just ended
  }
}

function pssOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss: +(\d+) kB$/m.exec(text)?.[1] ?? 0);
  } catch {
    return 0; // it has just ended
  }
}

/** Docker with the same registries in its network namespace. */
async function prepareDocker(
  session: Session,
  engine: Engine,
  registries: readonly DockerRegistry[],
): Promise<Client> {
  for (const program of ["dockerd", "docker"]) which(program);
  const docker = new Dockerd(engine, "docker");
  session.undo.defer(() => docker.stop());
  await docker.start();
  const pid = readFileSync(join(engine.directory("docker"), "pid"), "utf8");
  for (const { folder, host } of registries) {
    const child = Bun.spawn(
      ["nsenter", "--target", pid, "--net", "docker-registry", "serve", join(folder, "config.yml")],
      { stdio: ["ignore", "ignore", "ignore"] },
    );
    engine.track(child);
    session.undo.defer(() => child.kill());
    for (let tries = 0; ; tries++) {
      if ((await docker.inNetwork(["curl", "-sf", `http://${host}/v2/`])).exitCode === 0) break;
      if (tries === 100) throw new Error("no registry in Docker's network namespace");
      await Bun.sleep(50);
    }
  }
  return {
    name: "docker",
    command: (...args) =>
      docker.command(args).map((word, index) => (index === 0 ? which(word) : word)),
    plain: [],
  };
}

function preparePodman(session: Session): Client {
  const podman = which("podman");
  // Podman takes no path of its run directory that is longer than 50 bytes.
  const folder = mkdtempSync(join(tmpdir(), "mydocker-podman-"));
  session.undo.defer(() => {
    Bun.spawnSync(["umount", "--quiet", join(folder, "root/overlay")]); // which it leaves
    rmSync(folder, { recursive: true, force: true });
  });
  const configuration = join(folder, "containers.conf");
  writeFileSync(configuration, '[engine]\nevents_logger = "file"\nlock_type = "file"\n');
  return {
    name: "podman",
    command: (...args) => [
      ...["/usr/bin/env", `CONTAINERS_CONF=${configuration}`, podman],
      ...["--root", join(folder, "root"), "--runroot", join(folder, "run")],
      ...["--tmpdir", join(folder, "tmp"), "--storage-driver", "overlay", ...args],
    ],
    plain: ["--tls-verify=false"],
  };
}

function which(program: string): string {
  if (program.startsWith("/")) return program;
  const found = Bun.which(program);
  if (found === null) throw new Error(`${program} is not installed`);
  return found;
}

if (import.meta.main) await runBenches([pull]);
