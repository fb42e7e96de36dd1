/** Dividing the time of a program, and of the child that it forks, by the kernel calls that they make. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tryOutput } from "../../build/command.ts";
import { P_PID, waitExit } from "../../src/linux/process.ts";
import { LOG_SIZE, type LoggedCall, readCallLog } from "./call_log.ts";
import { monotonicOffset } from "./clock.ts";
import { median, spawn } from "./measure.ts";
import type { Session } from "./session.ts";

/** A part of a run. It lasts from the return of the call before its first one to that of its last. */
export interface Phase {
  readonly name: string;
  /** Its first call. Absent: it begins with the process. */
  readonly first?: RegExp;
}

/** How long a phase took in one run, and how many kernel calls of ours it made. */
export interface Span {
  readonly time: number;
  readonly calls: number;
}

/** The phases of a program and of its child. */
export interface Phases {
  readonly parent: readonly Phase[];
  readonly child: readonly Phase[];
}

/** Rows of a table: medians in milliseconds, and calls. */
export function rowsOf(
  title: string,
  phases: readonly Phase[],
  runs: readonly Span[][],
): string[][] {
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

/** Runs the program with a log of its calls. @throws {Error} if it fails */
export function profileRun(
  session: Session,
  argv: readonly string[],
  phases: Phases,
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
    parent: split(phases.parent, parent, start + toTheirs, end + toTheirs),
    child: split(
      phases.child,
      child,
      parent[fork - 1]?.time ?? Number.NaN,
      executed?.time ?? lastOfInit,
    ),
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
export function countCalls(session: Session, command: readonly string[]): string | undefined {
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
