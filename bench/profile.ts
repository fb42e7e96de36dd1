/** Where the time of one run goes. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tryOutput } from "../build/command.ts";
import { P_PID, waitExit } from "../src/linux/process.ts";
import { LOG_SIZE, type LoggedCall, readCallLog } from "./tools/call_log.ts";
import { monotonicOffset } from "./tools/clock.ts";
import { runCommand, unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, spawn, timeProgram } from "./tools/measure.ts";
import type { Session } from "./tools/session.ts";

/** A part of a run. It lasts from the return of the call before its first one to that of its last. */
interface Phase {
  readonly name: string;
  /** Its first call. Absent: it begins with the process. */
  readonly first?: RegExp;
}

const PARENT: readonly Phase[] = [
  { name: "the process starts, until the first line of main.ts" },
  { name: "the command line's code is loaded", first: /^cli$/ },
  { name: "the engine's code is loaded", first: /^engine$/ },
  { name: "options are parsed; recovery: is anything half done?", first: /^statx / },
  { name: "the image is looked up and held", first: /^open .*\/images\/names\// },
  { name: "the container is made: owner, name, record, layer", first: /^open .*\/owners\// },
  { name: "its configuration is planned, pipes are made", first: /^open \/proc\/self\/mountinfo/ },
  { name: "fork", first: /^socketpair / },
  { name: "the owner's record names init", first: /^open \/proc\/\d+\/stat/ },
  { name: "cgroups are made", first: /^(statfs|mkdir) .*\/cgroup/ },
  { name: "/etc files and config.json are written", first: /^open \/etc\/resolv.conf/ },
  { name: "code for later is warmed up", first: /^pipe2 / },
  { name: "waits for init", first: /^sendmsg / },
  { name: "the owner's record is updated, pumps are set up", first: /^close \d* = 0/ },
  { name: "the command runs", first: /^poll -1/ },
  { name: "everything is removed", first: /^waitid / },
  { name: "the process ends", first: /^end$/ },
];

const CHILD: readonly Phase[] = [
  { name: "fork, until the first instruction" },
  { name: "its own mounts: overlay, /proc, /dev, /sys", first: /^prctl / },
  { name: "waits for cgroups and files", first: /^recvmsg / },
  { name: "joins cgroups", first: /^open .*\/(tasks|cgroup.procs) / },
  { name: "binds: cgroups, /etc files", first: /^open_tree / },
  { name: "devices and links", first: /^mknod / },
  { name: "read-only and masked paths", first: /^openat2 \/(sys\/fs\/cgroup|proc\/bus) / },
  { name: "loopback, host name, sysctls", first: /^socket / },
  { name: "user", first: /^openat2 \/etc\/passwd/ },
  { name: "pivot, standard streams", first: /^open \/ / },
  { name: "privileges are dropped", first: /^prctl PR_CAPBSET_DROP/ },
  { name: "the command is looked up", first: /^statx \// },
  { name: "exec", first: /^sigprocmask / },
];

/** How long a phase took in one run, and how many kernel calls of ours it made. */
interface Span {
  readonly time: number;
  readonly calls: number;
}

/** `profile`: see the note that it returns. */
export const profile: Bench = async (session) => {
  unpackImage(session);
  const program = await session.compile("profiled");
  const rounds = roundsOr(60);
  const spans: { parent: Span[]; child: Span[] }[] = [];
  const command = runCommand(session, "true");
  const measured = await alternate(
    session,
    [
      { name: "plain", measure: () => timeProgram(session, command) },
      {
        name: "profiled",
        measure: () => {
          const { time, parent, child } = profileRun(session, [program, ...command.slice(1)]);
          spans.push({ parent, child });
          return time;
        },
      },
    ],
    { rounds, warmUp: 5 },
  );
  const kept = spans.slice(-rounds);
  const [plain, slow] = ["plain", "profiled"].map((name) => median(measured.get(name) ?? []));
  const total = countCalls(session, command);
  return {
    id: "profile",
    title: "Where the time of one run goes",
    note: `\`mydocker run --rm --network none busybox true\`: medians of ${rounds} runs in milliseconds, and the kernel \
calls that mydocker's own code makes. A run that is watched so takes ${slow?.toFixed(1)} ms, one that is not \
${plain?.toFixed(1)} ms. ${total ?? "strace is not installed, so the calls of Bun are not counted."} init works while \
mydocker makes cgroups and files, so its times stand beside the others.`,
    table: {
      head: ["", "ms", "calls"],
      rows: [
        ...rowsOf(
          "mydocker",
          PARENT,
          kept.map(({ parent }) => parent),
        ),
        ...rowsOf(
          "init, at the same time",
          CHILD,
          kept.map(({ child }) => child),
        ),
      ],
    },
  };
};

function rowsOf(title: string, phases: readonly Phase[], runs: readonly Span[][]): string[][] {
  const of = (at: number, value: (span: Span) => number) =>
    median(runs.map((run) => value(run[at] as Span)));
  const sum = (value: (span: Span) => number) =>
    median(runs.map((run) => run.reduce((total, span) => total + value(span), 0)));
  const row = (name: string, time: number, calls: number) => [
    name,
    time.toFixed(2),
    calls.toFixed(0),
  ];
  const time = ({ time }: Span) => time;
  const calls = ({ calls }: Span) => calls;
  return [
    row(`**${title}**`, sum(time), sum(calls)),
    ...phases.map(({ name }, at) => row(name, of(at, time), of(at, calls))),
  ];
}

function profileRun(
  session: Session,
  argv: readonly string[],
): { time: number; parent: Span[]; child: Span[] } {
  const file = join(session.folder, "calls");
  writeFileSync(file, new Uint8Array(LOG_SIZE));
  const env = [...session.env, `PROFILE_LOG=${file}`];
  const start = performance.now();
  const pid = spawn(session, argv, { env });
  const status = waitExit(P_PID, pid);
  const end = performance.now();
  if (status?.code !== 0) throw session.failure(argv, status?.code);

  const { parent, child } = readCallLog(readFileSync(file));
  const offset = parent.pop()?.time ?? Number.NaN; // its last record
  const toTheirs = monotonicOffset() - offset;
  const fork = parent.findIndex(({ text }) => text.startsWith("clone "));
  const lastOfInit = child.at(-1)?.time ?? 0;
  const executed = parent.find(
    ({ text, time }) => time > lastOfInit && /^recvmsg .* = 0$/.test(text),
  );
  return {
    time: end - start,
    parent: split(PARENT, parent, start + toTheirs, end + toTheirs),
    child: split(CHILD, child, parent[fork - 1]?.time ?? Number.NaN, executed?.time ?? Number.NaN),
  };
}

/** Divides calls among phases, which follow each other. A phase whose first call is missing takes no time. */
function split(
  phases: readonly Phase[],
  calls: readonly LoggedCall[],
  start: number,
  end: number,
): Span[] {
  const firsts: number[] = [0];
  for (const { first } of phases.slice(1)) {
    const from = firsts.at(-1) as number;
    const at = calls.findIndex(({ text }, index) => index >= from && first?.test(text) === true);
    firsts.push(at === -1 ? from : at);
  }
  return phases.map((_, index) => {
    const [first, next] = [firsts[index] as number, firsts[index + 1] ?? calls.length];
    const begin = index === 0 ? start : (calls[first - 1]?.time ?? start);
    const finish = index === phases.length - 1 ? end : (calls[next - 1]?.time ?? start);
    return { time: finish - begin, calls: next - first };
  });
}

/** All system calls of a run, with those that Bun makes. */
function countCalls(session: Session, command: readonly string[]): string | undefined {
  const file = join(session.folder, "strace");
  const env = Object.fromEntries(session.env.map((entry) => entry.split("=") as [string, string]));
  if (tryOutput(["strace", "-f", "-c", "-o", file, ...command], { env }) === undefined)
    return undefined;
  // % time, seconds, usecs/call, calls, errors (if any), "total"
  const last = readFileSync(file, "utf8").trimEnd().split("\n").at(-1) ?? "";
  const total = last.trim().split(/\s+/)[3];
  return total === undefined
    ? undefined
    : `With Bun's own start and end it is ${total} system calls (\`strace -f -c\`).`;
}

if (import.meta.main) await runBenches([profile]);
