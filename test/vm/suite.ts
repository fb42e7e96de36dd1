/** A chosen part of the suite, run in a virtual machine with cgroup v2 alone, and counted. */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isUnified } from "../helpers/container_facts.ts";
import { ownCalls } from "../helpers/own_calls.ts";
import { type Counts, countResults } from "../helpers/report.ts";
import type { KernelChoice } from "./kernel.ts";
import { missing, runMachine } from "./machine.ts";
import { chosen } from "./parts.ts";

const ROOT = resolve(import.meta.dir, "../..");
/** Of one test, in milliseconds: a run of a container takes half a second. */
const TEST_TIMEOUT = 120_000;
/** Of the machine. What has not been run by then has failed. */
const TIMEOUT = 900_000;

const SOURCES = ["src", "test", "package.json", "tsconfig.json", "bunfig.toml"];
const PACKAGES = ["node_modules/consola", "node_modules/citty"];

/** What the machine gets, whatever it is to do with it. */
function files(executable: string): Record<string, string> {
  const repository = [...SOURCES, ...PACKAGES].map(
    (path) => [`repository/${path}`, realpathSync(join(ROOT, path))] as const,
  );
  return {
    ...Object.fromEntries(repository),
    "bin/bun": process.execPath,
    "bin/mydocker": executable,
  };
}

const SETUP = `#!/bin/bash
export PATH=/payload/bin:$PATH MYDOCKER_EXE=/payload/bin/mydocker NO_COLOR=1
stty -F /dev/ttyS1 raw -echo
modprobe -a overlay bridge veth br_netfilter nf_tables 2>/dev/null
ip link set lo up
ln -sf mydocker /payload/bin/mydocker-oci
cd /payload/repository
`;

/** A shell in the machine, with the suite and the executable. */
export async function shell(executable: string, kernel: KernelChoice): Promise<void> {
  const script = `${SETUP}export PS1='vm# ' TERM=dumb\nexec bash --norc -i\n`;
  const timeout = 2 ** 31 - 1;
  await runMachine({ script, files: files(executable), kernel, interactive: true, timeout });
}

/** What the same executable takes here, if this machine has v1: tests compare it (v2.test.ts). */
function measured(executable: string): string {
  if (isUnified || process.getuid?.() !== 0) return "";
  const folder = mkdtempSync(join(tmpdir(), "mydocker-test-"));
  try {
    const env = { MYDOCKER_ROOT: join(folder, "root"), MYDOCKER_RUN: join(folder, "run") };
    ownCalls(executable, env); // unpacks the image
    return `export V1_CALLS=${ownCalls(executable, env)}\n`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Runs test files in one machine, each by a bun of its own.
 * @param words as of {@link chosen}
 * @returns the results by file; a file that left none has failed
 */
export async function runSuite(
  words: readonly string[],
  executable: string,
  kernel: KernelChoice,
): Promise<Map<string, Counts>> {
  const lacking = missing();
  const tests = chosen(words);
  if (tests.length > 0 && lacking.length > 0) {
    console.log(`(skip) test/vm [skipped: ${lacking.join(", ")}]`);
    return new Map([["test/vm", { passed: 0, failed: 0, skipped: tests.length }]]);
  }
  const script = `${SETUP}${measured(executable)}${tests.map(([file, pattern]) => command(file, pattern)).join("\n")}\n`;
  const text =
    tests.length === 0
      ? ""
      : await runMachine({
          script,
          files: files(executable),
          kernel,
          interactive: false,
          timeout: TIMEOUT,
        });
  return new Map(
    tests.map(([file]) => {
      const [, code, seconds, report] =
        new RegExp(`^@@ ${RegExp.escape(file)} (\\d+) (\\d+)\\n(<testsuites .*)?$`, "m").exec(
          text,
        ) ?? [];
      const ending = { exitCode: code === undefined ? null : Number(code), signal: null };
      console.log(
        `vm: ${file}: ${seconds === undefined ? "was not run to its end" : `${seconds} s`}`,
      );
      return [`vm: ${file}`, countResults(report, ending)];
    }),
  );
}

/** Runs a file, and says on the second serial line how that went. */
function command(file: string, pattern: string): string {
  const only = pattern === "" ? "" : ` -t '${pattern}'`;
  return [
    "rm -f /tmp/report.xml; began=$SECONDS",
    `bun test --timeout ${TEST_TIMEOUT} --reporter=junit --reporter-outfile=/tmp/report.xml${only} ./${file} </dev/null; code=$?`,
    `{ echo "@@ ${file} $code $((SECONDS - began))"; grep -m1 '<testsuites' /tmp/report.xml; } > /dev/ttyS1`,
  ].join("\n");
}
