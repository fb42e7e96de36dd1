/** Many containers and much output, beside Docker: `ps`, starts at once, logs that are read and written. */

import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Client, prepareDocker, removeAll } from "./life.ts";
import { unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, timeProgram } from "./tools/measure.ts";
import { ms, times } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

/** How many stopped containers are listed: ours, and Docker's, which take a tenth of a second each to make. */
const LISTED = [1000, 10_000] as const;
const LISTED_DOCKER = 200;
/** How many are started, and how many at a time. */
const STARTED = 100;
const AT_A_TIME = 16;
/** Bytes of a log. */
const LOG_SIZE = 200_000_000;

/** `crowd`: see the note that it returns. */
export const crowd: Bench = async (session) => {
  unpackImage(session);
  const skipped: string[] = [];
  const own: Client = {
    name: "mydocker",
    command: (...args) => [session.executable, ...args],
    image: "busybox",
    monitor: "internal-monitor",
  };
  const clients = [own];
  try {
    clients.push(await prepareDocker(session));
  } catch (error) {
    skipped.push(
      `docker: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`,
    );
  }
  const rounds = roundsOr(10);
  const rows = [
    ...(await startRows(session, clients, Math.min(3, rounds))),
    ...(await logRows(session, clients, Math.min(5, rounds))),
    ...(await listRows(session, clients, rounds)),
  ];
  return {
    id: "crowd",
    title: "Many containers, much output",
    note: `\`--network none\`, medians of up to ${rounds} rounds in alternation. \`ps\` with containers that have ended, ours made by copying \
one's files; Docker's are ${LISTED_DOCKER}. Starts: ${STARTED} times \`run -d\`, ${AT_A_TIME} at a time. Output: ${LOG_SIZE / 1e6} MB of \
lines of 100 bytes, logged in full by the json-file driver; read by \`logs\` into /dev/null.`,
    table: { head: ["", "", "mydocker to it", "target"], rows },
    skipped,
  };
};

const judge = (ratio: number, most: number): string =>
  `≤ ${most.toFixed(2)} ${ratio <= most ? "PASS" : "over"}`;

/** Rows of what all clients were measured at: ours, then each peer's with the ratio. */
function compared(what: string, measured: ReadonlyMap<string, number[]>, most: number): string[][] {
  const own = median(measured.get("mydocker") ?? []);
  return [...measured].map(([name, values]) => {
    const ratio = own / median(values);
    const isOwn = name === "mydocker";
    return [
      `${name}: ${what}`,
      ms(median(values)),
      isOwn ? "" : times(ratio),
      isOwn ? "" : judge(ratio, most),
    ];
  });
}

async function startRows(session: Session, clients: readonly Client[], rounds: number) {
  const names = Array.from({ length: STARTED }, (_, index) => `crowd${index}`);
  const candidates = clients.map((client) => ({
    name: client.name,
    measure: () => {
      const run = client.command("run", "-d", "--name", "crowd{}", "--network", "none");
      const all = `seq 0 ${STARTED - 1} | xargs -P ${AT_A_TIME} -I{} "$@"`;
      const idle = [client.image, "sleep", "100000"];
      const time = timeProgram(session, ["/bin/sh", "-c", all, "sh", ...run, ...idle]);
      removeAll(session, client, names);
      return time;
    },
  }));
  const measured = await alternate(session, candidates, { rounds, warmUp: 0 });
  return compared(`${STARTED} × run -d, ${AT_A_TIME} at a time`, measured, 1 / 4);
}

async function logRows(session: Session, clients: readonly Client[], rounds: number) {
  const line = "x".repeat(99);
  const talk = (client: Client) => {
    timeProgram(session, [
      ...client.command("run", "-d", "--name", "talker", "--network", "none"),
      ...["--log-opt", "max-size=1g", client.image, "sh", "-c"],
      `yes ${line} | head -c ${LOG_SIZE}`,
    ]);
    timeProgram(session, client.command("wait", "talker"));
  };
  const written = await alternate(
    session,
    clients.map((client) => ({
      name: client.name,
      measure: () => {
        removeAll(session, client, ["talker"]);
        const start = performance.now();
        talk(client);
        return performance.now() - start;
      },
    })),
    { rounds, warmUp: 0 },
  );
  const read = await alternate(
    session,
    clients.map((client) => ({
      name: client.name,
      measure: () => timeProgram(session, client.command("logs", "talker")),
    })),
    { rounds, warmUp: 1 },
  );
  for (const client of clients) removeAll(session, client, ["talker"]);
  return [
    ...compared(`a container writes ${LOG_SIZE / 1e6} MB`, written, 1),
    ...compared(`logs of ${LOG_SIZE / 1e6} MB`, read, 1),
  ];
}

async function listRows(session: Session, [own, docker]: readonly Client[], rounds: number) {
  if (own === undefined) return [];
  const list = (count: number, ...args: string[]) => ({
    name: `mydocker: ${["ps", ...args].join(" ")}, ${count} stopped`,
    measure: () =>
      timeProgram(session, [
        "/usr/bin/env",
        ...envOf(session, count),
        ...own.command("ps", ...args),
      ]),
  });
  for (const count of LISTED) makeStopped(session, own, count);
  const candidates = [list(0), ...LISTED.map((count) => list(count, "-a"))];
  const dockerName = `docker: ps -a, ${LISTED_DOCKER} stopped`;
  if (docker !== undefined) {
    const create = docker.command("create", "--network", "none", docker.image, "true");
    const all = `seq ${LISTED_DOCKER} | xargs -P 4 -I{} "$@"`;
    timeProgram(session, ["/bin/sh", "-c", all, "sh", ...create]);
    candidates.push({
      name: dockerName,
      measure: () => timeProgram(session, docker.command("ps", "-a")),
    });
  }
  // What a listing found is kept once nothing has changed for two seconds: as it usually is.
  await Bun.sleep(2500);
  const measured = await alternate(session, candidates, { rounds, warmUp: 1 });
  const [none, thousand, many] = [...measured.values()].map(median) as [number, number, number];
  return [...measured].map(([name, values]) => {
    const ratio =
      name === candidates[1]?.name
        ? [`${times(thousand / none)} of none`, judge(thousand / none, 4)]
        : name === candidates[2]?.name
          ? [`${times(many / thousand)} of 1,000`, judge(many / thousand, 10)]
          : name === dockerName
            ? [times(thousand / median(values)), judge(thousand / median(values), 1)]
            : ["", ""];
    return [name, ms(median(values)), ...ratio];
  });
}

/** State directories of their own. */
const envOf = (session: Session, count: number): string[] =>
  session.env.map((each) => {
    if (each.startsWith("MYDOCKER_ROOT=")) return `${each}-${count}`;
    return each.startsWith("MYDOCKER_RUN=") ? `${each}/${count}` : each;
  });

/** A state directory with so many containers that have ended: copies of one. */
function makeStopped(session: Session, client: Client, count: number): void {
  const root = `${join(session.folder, "root")}-${count}`;
  timeProgram(session, [
    ...["/usr/bin/env", ...envOf(session, count)],
    ...client.command("run", "--name", "one", "--network", "none", client.image, "true"),
  ]);
  const containers = join(root, "containers");
  const [id = ""] = readdirSync(containers);
  const record = JSON.parse(readFileSync(join(containers, id, "container.json"), "utf8"));
  for (let number = 1; number < count; number++) {
    const own = number.toString(16).padStart(8, "0") + id.slice(8);
    const folder = join(containers, own);
    mkdirSync(folder);
    for (const file of ["exit.json", "config.json"])
      cpSync(join(containers, id, file), join(folder, file));
    const name = `copy${number}`;
    const created = new Date(Date.parse(record.created) - number * 1000).toISOString();
    writeFileSync(
      join(folder, "container.json"),
      JSON.stringify({ ...record, id: own, name, created }),
    );
    symlinkSync(own, join(root, "names", name));
  }
}

if (import.meta.main) await runBenches([crowd]);
