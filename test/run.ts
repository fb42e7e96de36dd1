/**
 * Builds the executable and runs every test file in a bun of its own, so that a crash costs one
 * file and is counted. `test/run` calls this once everything is installed.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Counts,
  countResults,
  failuresIn,
  formatCounts,
  parseCounts,
  sumCounts,
} from "./helpers/report.ts";
import { runVm } from "./vm/run.ts";

const ROOT = join(import.meta.dir, "..");
/** Where the executable under test is built, out of the way of the user's own. */
const OUTDIR = join(ROOT, "node_modules/.cache/mydocker/test-dist");
/** No file takes nearly as long; what does hangs. */
const FILE_TIMEOUT = 300_000;
const TEST_TIMEOUT = 60_000;

/** Test files in the order they run: quick ones first. */
function testFiles(patterns: readonly string[]): string[] {
  const all = ["src/**/*.test.ts", "build/*.test.ts", "test/**/*.test.ts"].flatMap((glob) =>
    [...new Bun.Glob(glob).scanSync({ cwd: ROOT })].filter((file) => !isForVm(file)).sort(),
  );
  const [integration, unit] = [true, false].map((wanted) =>
    all.filter((file) => needsExecutable(file) === wanted),
  ) as [string[], string[]];
  return [...unit, ...integration].filter(
    (file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)),
  );
}

/** Those that have a machine to themselves (test/vm/parts.ts). */
const isForVm = (file: string): boolean => file.startsWith("test/vm/");

/** Those that run the executable, as root. */
const needsExecutable = (file: string): boolean => /^test\/(integration|oci)\//.test(file);

function build(): string {
  const { exitCode } = Bun.spawnSync([process.execPath, "build.ts", "--outdir", OUTDIR], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) throw new Error("the executable could not be built");
  return join(OUTDIR, "mydocker");
}

/**
 * What a container would mount on the host is looked for in a mount namespace where nobody else
 * mounts. Its mounts are shared, as systemd makes the host's: there a mistake would show.
 */
const OWN_MOUNTS = [
  ...["unshare", "--mount", "--propagation", "private"],
  ...["sh", "-c", 'mount --make-rshared / && exec "$@"', "sh"],
];

/** Passes on what a stream has, until it or `ended` ends. @returns all of it */
async function passOn(
  stream: ReadableStream<Uint8Array>,
  ended: Promise<unknown>,
): Promise<string> {
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  // What a test left running may hold the pipe open.
  const over = ended.then(() => Bun.sleep(500)).then(() => undefined);
  let text = "";
  for (;;) {
    const chunk = await Promise.race([reader.read(), over]);
    if (chunk?.value === undefined) return text;
    process.stdout.write(chunk.value);
    text += decoder.decode(chunk.value, { stream: true });
  }
}

/** A file's counts, and what was printed of its tests that failed. */
interface FileResult {
  readonly counts: Counts;
  readonly failures: readonly string[];
}

async function runFile(file: string, executable: string, scratch: string): Promise<FileResult> {
  const outfile = join(scratch, "report.xml");
  rmSync(outfile, { force: true });
  const test = Bun.spawn(
    [
      ...["sh", "-c", 'exec "$@" 2>&1', "sh"],
      ...(needsExecutable(file) ? OWN_MOUNTS : []),
      process.execPath,
      "test",
      `--timeout=${TEST_TIMEOUT}`,
      "--reporter=junit",
      `--reporter-outfile=${outfile}`,
      `./${file}`,
    ],
    {
      cwd: ROOT,
      env: { ...process.env, MYDOCKER_EXE: executable },
      stdio: ["ignore", "pipe", "inherit"],
      timeout: FILE_TIMEOUT,
      killSignal: "SIGKILL",
    },
  );
  const output = await passOn(test.stdout, test.exited);
  await test.exited;
  const { exitCode, signalCode } = test;
  const report = existsSync(outfile) ? readFileSync(outfile, "utf8") : undefined;
  const counts = countResults(report, {
    exitCode,
    signal: signalCode ? String(signalCode) : null,
  });
  const ended = signalCode ? [`${file}: ended by ${signalCode}`] : [];
  for (const line of ended) console.log(line);
  return { counts, failures: [...failuresIn(output), ...ended] };
}

/**
 * The virtual machine's part, in a process beside ours: emulation keeps one processor busy, and what
 * runs on the host mostly waits. What it prints is kept apart, and printed at its end.
 */
class BesideUs implements AsyncDisposable {
  readonly #log: string;
  readonly #process;

  constructor(executable: string, scratch: string) {
    this.#log = join(scratch, "vm.log");
    const output = Bun.file(this.#log);
    const command = ["setpriv", "--pdeathsig", "KILL", process.execPath, import.meta.path, "--vm"];
    this.#process = Bun.spawn(command, {
      cwd: ROOT,
      env: { ...process.env, MYDOCKER_EXE: executable },
      stdin: "ignore",
      stdout: output,
      stderr: "inherit",
    });
  }

  /** Waits for it, and prints what it said. A part that ends without a last line has failed. */
  async results(): Promise<FileResult> {
    await this.#process.exited;
    const text = readFileSync(this.#log, "utf8").trimEnd();
    const end = text.lastIndexOf("\n") + 1;
    const counts = parseCounts(text.slice(end));
    console.log(counts === undefined ? text : text.slice(0, end));
    return { counts: counts ?? { passed: 0, failed: 1, skipped: 0 }, failures: failuresIn(text) };
  }

  /** Ends it, and with it the machine, when we fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
  }
}

/** With words the test files that have one in their path; `--vm` and what test/vm/run takes; else everything. */
async function main(): Promise<number> {
  const words = process.argv.slice(2);
  const vmArguments = words[0] === "--vm" ? words.slice(1) : undefined;
  const files = vmArguments === undefined ? testFiles(words) : [];
  const scratch = mkdtempSync(join(tmpdir(), "mydocker-tests-"));
  const results = new Map<string, FileResult>();
  const failed = { passed: 0, failed: 1, skipped: 0 };
  try {
    const executable = process.env["MYDOCKER_EXE"] ?? build();
    if (vmArguments !== undefined) {
      const inVm = await runVm(vmArguments, executable);
      if (inVm === undefined) return 0;
      for (const [file, counts] of inVm) results.set(file, { counts, failures: [] });
    }
    await using beside = words.length === 0 ? new BesideUs(executable, scratch) : undefined;
    for (const file of files) results.set(file, await runFile(file, executable, scratch));
    if (beside !== undefined) results.set("the virtual machine", await beside.results());
  } catch (error) {
    console.log(`test/run: ${error instanceof Error ? error.message : error}`);
    results.set("build", { counts: failed, failures: [] });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  if (results.size === 0) results.set("(no test file)", { counts: failed, failures: [] });
  const sum = sumCounts([...results.values()].map(({ counts }) => counts));
  // Once more, where they are found: the whole is some thousand lines.
  for (const [file, { counts, failures }] of results) {
    if (counts.failed === 0) continue;
    console.log(`\nfailed: ${file}: ${formatCounts(counts)}`);
    for (const failure of failures) console.log(`\n${failure}`);
  }
  console.log("");
  console.log(formatCounts(sum));
  return sum.failed === 0 ? 0 : 1;
}

process.exitCode = await main();
