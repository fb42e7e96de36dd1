/** How long a seccomp filter takes to make, and what a system call costs under it. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { output } from "../build/command.ts";
import { DEFAULT_CAPABILITIES } from "../src/capabilities/capabilities.ts";
import { compileSeccomp } from "../src/seccomp/compile.ts";
import { dockerDefaultProfile } from "../src/seccomp/docker_default.ts";
import { resolveProfile } from "../src/seccomp/resolve.ts";
import { libseccomp, libseccompPrograms } from "../test/helpers/libseccomp.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { median } from "./tools/measure.ts";
import { ms, times, verdict } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

/** Milliseconds that a filter may take to make. */
const COMPILE_TARGET = 1;
/** In times of libseccomp's. */
const CALL_TARGET = 1;

const MACHINE = process.arch === "arm64" ? "arm64" : "x64";

/** `seccomp`: see the note that it returns. */
export const seccomp: Bench = async (session) => {
  const rounds = roundsOr(30);
  const calls = await measureCalls(session, rounds);
  return {
    id: "seccomp",
    title: "Seccomp",
    note: `Docker's default profile with Docker's capabilities. Making the filter: medians of ${rounds} processes of the \
executable's own flags, from the checked configuration to the program; the first time in a process, and when it has been \
done 300 times before. What is not ready is compiled: a profile with one rule more. System calls: medians of ${rounds} \
rounds of 300,000 in alternation, under our program and under the one that libseccomp makes of the same profile. The \
kernel knows by itself which calls a filter always allows, and runs none for getppid; it has to for personality, of which \
the argument counts.`,
    table: {
      head: ["", "median", "again, or to libseccomp's", "target"],
      rows: [...(await measureMaking(session, rounds)), ...calls.rows],
    },
    skipped: calls.skipped,
  };
};

async function measureMaking(session: Session, rounds: number): Promise<string[][]> {
  const program = await session.compile("seccomp");
  const { usual, other } = profiles();
  const file = (name: string, profile: unknown) => {
    const path = join(session.directory("profiles"), `${name}.json`);
    writeFileSync(path, JSON.stringify(profile));
    return path;
  };
  const modes: Readonly<Record<string, string[]>> = {
    "`run`, the default capabilities": ["usual"],
    "`run --cap-add SYS_ADMIN`": ["admin"],
    "config.json with the same profile": ["file", file("usual", usual)],
    "config.json with another profile": ["file", file("other", other)],
  };
  const found = new Map<string, { cold: number[]; warm: number[] }>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, args] of Object.entries(modes)) {
      const [cold = 0, warm = 0] = output([program, ...args])
        .trim()
        .split(" ")
        .map(Number);
      const times = found.get(name) ?? { cold: [], warm: [] };
      times.cold.push(cold);
      times.warm.push(warm);
      found.set(name, times);
      await session.checkpoint();
    }
  }
  return [...found].map(([name, { cold, warm }]) => {
    const first = median(cold);
    return [`made for ${name}`, ms(first), ms(median(warm)), verdict(first, COMPILE_TARGET)];
  });
}

function profiles() {
  const usual = resolveProfile(dockerDefaultProfile(), {
    capabilities: DEFAULT_CAPABILITIES,
    kernelRelease: "6.1",
  });
  const more = { names: ["syslog"], action: "SCMP_ACT_ALLOW" as const };
  return { usual, other: { ...usual, syscalls: [...(usual.syscalls ?? []), more] } };
}

async function measureCalls(session: Session, rounds: number) {
  const missing = libseccomp.filter((requirement) => requirement !== undefined);
  if (missing.length > 0) return { rows: [], skipped: [`system calls: ${missing.join(", ")}`] };
  const folder = session.directory("calls");
  const [binary, source] = [join(folder, "calls"), "programs/filtered_calls.c"];
  output(["gcc", "-O2", "-o", binary, join(import.meta.dir, source)]);
  const { usual } = profiles();
  const [theirs] = libseccompPrograms([usual], MACHINE);
  const files: Readonly<Record<string, string>> = {
    none: "-",
    ours: join(folder, "ours"),
    libseccomp: join(folder, "theirs"),
  };
  writeFileSync(join(folder, "ours"), compileSeccomp(usual, MACHINE).program);
  writeFileSync(join(folder, "theirs"), theirs as Uint8Array);
  const found = new Map<string, number[][]>();
  for (let round = 0; round < rounds; round++) {
    const order = Object.entries(files);
    for (let index = 0; index < order.length; index++) {
      const [name, file] = order[(index + round) % order.length] as [string, string]; // another first each time
      const pair = output([binary, file]).trim().split(" ").map(Number);
      found.set(name, [...(found.get(name) ?? []), pair]);
      await session.checkpoint();
    }
  }
  const nanoseconds = (name: string, call: number) =>
    median((found.get(name) ?? []).map((pair) => pair[call] ?? Number.NaN));
  const rows = ["getppid", "personality"].flatMap((call, index) => {
    const base = nanoseconds("libseccomp", index);
    return ["none", "libseccomp", "ours"].map((name) => {
      const value = nanoseconds(name, index);
      const label =
        name === "none"
          ? "without a filter"
          : `under ${name === "ours" ? "our" : "libseccomp's"} program`;
      const beside = name === "ours" ? verdict(value / base, CALL_TARGET) : "";
      return [`${call}, ${label}`, `${value.toFixed(0)} ns`, times(value / base), beside];
    });
  });
  return { rows, skipped: [] };
}

if (import.meta.main) await runBenches([seccomp]);
