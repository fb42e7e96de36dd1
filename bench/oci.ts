/** The OCI runtime beside runc and crun: the same bundle, with Docker's capabilities and seccomp profile. */

import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { DEFAULT_CAPABILITIES } from "../src/capabilities/capabilities.ts";
import { dockerDefaultProfile } from "../src/seccomp/docker_default.ts";
import { resolveProfile } from "../src/seccomp/resolve.ts";
import { unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, quantile, timeProgram } from "./tools/measure.ts";
import { type Peer, preparePeers } from "./tools/peers.ts";
import { ms, times, verdict } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

/** The most that mydocker may take, in times of a peer's. */
const TARGETS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  run: { crun: 1.0, runc: 0.4 },
  "create, start, delete": { crun: 1.3, runc: 0.6 },
  exec: { crun: 1.0, runc: 0.4 },
};

/** Anonymous memory that a waiting container may cost, in megabytes. */
const MOST_MEMORY = 4;

/** `oci`: see the note that it returns. */
export const oci: Bench = async (session) => {
  const layer = unpackImage(session);
  const { found, skipped } = preparePeers(session, layer);
  const [first] = found;
  if (first === undefined)
    throw new Error(`there is nobody to compare with: ${skipped.join("; ")}`);
  const runtimes = [ownRuntime(session, first), ...found];
  for (const { bundle } of runtimes) prepareBundle(bundle);
  const rounds = roundsOr(40);
  const rows: string[][] = [];
  for (const [what, measure] of Object.entries(MEASURES)) {
    const candidates = runtimes.map((runtime) => ({
      name: runtime.name,
      measure: measure(session, runtime),
    }));
    const measured = await alternate(session, candidates, { rounds, warmUp: 5 });
    rows.push(...rowsOf(what, measured));
    for (const runtime of runtimes) stop(session, runtime);
  }
  const waiting = waitingMemory(session, runtimes[0] as Peer);
  rows.push([
    "a created container that waits: anonymous memory",
    `${waiting.toFixed(1)} MB`,
    "",
    "",
    verdict(waiting, MOST_MEMORY),
  ]);
  return {
    id: "oci",
    title: "OCI runtime",
    note: `\`mydocker-oci\`, runc and crun on bundles that differ in nothing: \`/bin/true\` in all namespaces, with \
cgroups, Docker's capabilities and seccomp profile. Medians of ${rounds} rounds in alternation, one after the other.`,
    table: { head: ["", "median", "the middle half", "mydocker to it", "target"], rows },
    skipped,
  };
};

type Measure = (session: Session, runtime: Peer) => () => number;

const MEASURES: Readonly<Record<string, Measure>> = {
  run: (session, runtime) => () => timeProgram(session, runtime.command()),
  "create, start, delete": (session, runtime) => () => {
    const { argv, id } = runtime.call("create", "--bundle", runtime.bundle);
    const created = timeProgram(session, [...argv, id]);
    const started = timeProgram(session, [...runtime.base, "start", id]);
    awaitStopped(runtime, id);
    return created + started + timeProgram(session, [...runtime.base, "delete", id]);
  },
  exec: (session, runtime) => {
    setArgs(runtime.bundle, ["sleep", "1000"]);
    const { argv, id } = runtime.call("run", "--detach", "--bundle", runtime.bundle);
    timeProgram(session, [...argv, id]);
    running.set(runtime.name, id);
    return () => timeProgram(session, [...runtime.base, "exec", id, "/bin/true"]);
  },
};

/** Containers that exec works in, by runtime. */
const running = new Map<string, string>();

function stop(session: Session, runtime: Peer): void {
  const id = running.get(runtime.name);
  if (id === undefined) return;
  timeProgram(session, [...runtime.base, "delete", "--force", id]);
  running.delete(runtime.name);
  setArgs(runtime.bundle, ["/bin/true"]);
}

/** `true` ends by itself; what is not measured is waiting for that. */
function awaitStopped(runtime: Peer, id: string): void {
  for (let look = 0; look < 1000; look++) {
    const { stdout } = Bun.spawnSync([...runtime.base, "state", id]);
    if (JSON.parse(stdout.toString()).status === "stopped") return;
    Bun.sleepSync(1);
  }
  throw new Error(`${runtime.name}: ${id} does not end`);
}

/** mydocker-oci on a bundle of its own. */
export function ownRuntime(session: Session, peer: Peer): Peer {
  const link = join(session.folder, "mydocker-oci");
  symlinkSync(session.executable, link);
  return peer.like("mydocker", link);
}

/** What dockerd gives a container, put into a bundle's configuration. */
export function prepareBundle(bundle: string): void {
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8"));
  const sets = ["bounding", "effective", "permitted"].map((set) => [set, DEFAULT_CAPABILITIES]);
  config.process.capabilities = Object.fromEntries(sets);
  config.process.noNewPrivileges = false;
  config.process.args = ["/bin/true"];
  config.linux.seccomp = resolveProfile(dockerDefaultProfile(), {
    capabilities: DEFAULT_CAPABILITIES,
    kernelRelease: release(),
  });
  writeFileSync(file, JSON.stringify(config));
}

function setArgs(bundle: string, args: readonly string[]): void {
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ ...config, process: { ...config.process, args } }));
}

/** Megabytes of 10^6 bytes. */
function waitingMemory(session: Session, runtime: Peer): number {
  const samples: number[] = [];
  for (let round = 0; round < 5; round++) {
    const { argv, id } = runtime.call("create", "--bundle", runtime.bundle);
    timeProgram(session, [...argv, id]);
    const { stdout } = Bun.spawnSync([...runtime.base, "state", id]);
    const status = readFileSync(`/proc/${JSON.parse(stdout.toString()).pid}/status`, "utf8");
    samples.push((Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) * 1024) / 1e6);
    timeProgram(session, [...runtime.base, "delete", "--force", id]);
  }
  return Math.max(...samples);
}

function rowsOf(what: string, measured: ReadonlyMap<string, readonly number[]>): string[][] {
  const own = median(measured.get("mydocker") ?? []);
  return [...measured].map(([name, values]) => {
    const ratio = own / median(values);
    const most = TARGETS[what]?.[name];
    const middle = `${ms(quantile(values, 0.25))} – ${ms(quantile(values, 0.75))}`;
    const beside = most === undefined ? ["", ""] : [times(ratio), verdict(ratio, most)];
    return [`${what}: ${name}`, ms(median(values)), middle, ...beside];
  });
}

if (import.meta.main) await runBenches([oci]);
