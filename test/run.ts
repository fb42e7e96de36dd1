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

async function runFile(file: string, executable: string, scratch: string): Promise<Counts> {
  const outfile = join(scratch, "report.xml");
  rmSync(outfile, { force: true });
  const test = Bun.spawn(
    [
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
      stdio: ["ignore", "inherit", "inherit"],
      timeout: FILE_TIMEOUT,
      killSignal: "SIGKILL",
    },
  );
  await test.exited;
  const { exitCode, signalCode } = test;
  const report = existsSync(outfile) ? readFileSync(outfile, "utf8") : undefined;
  const counts = countResults(report, {
    exitCode,
    signal: signalCode ? String(signalCode) : null,
  });
  if (signalCode) console.log(`${file}: ended by ${signalCode}`);
  return counts;
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
  async results(): Promise<Counts> {
    await this.#process.exited;
    const text = readFileSync(this.#log, "utf8").trimEnd();
    const end = text.lastIndexOf("\n") + 1;
    const counts = parseCounts(text.slice(end));
    console.log(counts === undefined ? text : text.slice(0, end));
    return counts ?? { passed: 0, failed: 1, skipped: 0 };
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
  const results = new Map<string, Counts>();
  try {
    const executable = process.env["MYDOCKER_EXE"] ?? build();
    if (vmArguments !== undefined) {
      const inVm = await runVm(vmArguments, executable);
      if (inVm === undefined) return 0;
      for (const [file, counts] of inVm) results.set(file, counts);
    }
    await using beside = words.length === 0 ? new BesideUs(executable, scratch) : undefined;
    for (const file of files) results.set(file, await runFile(file, executable, scratch));
    if (beside !== undefined) results.set("the virtual machine", await beside.results());
  } catch (error) {
    console.log(`test/run: ${error instanceof Error ? error.message : error}`);
    results.set("build", { passed: 0, failed: 1, skipped: 0 });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  if (results.size === 0) results.set("(no test file)", { passed: 0, failed: 1, skipped: 0 });
  const sum = sumCounts([...results.values()]);
  console.log("");
  for (const [file, counts] of results) {
    if (counts.failed > 0) console.log(`failed: ${file}: ${formatCounts(counts)}`);
  }
  console.log(formatCounts(sum));
  return sum.failed === 0 ? 0 : 1;
}

process.exitCode = await main();
