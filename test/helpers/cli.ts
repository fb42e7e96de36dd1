/** The compiled executable, called as a person calls it, with state directories of its own. */

import { afterAll, beforeAll, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { findLeaks, type Snapshot, takeSnapshot } from "./leaks.ts";
import { waitFor } from "./wait.ts";

/** The executable under test. */
export const EXECUTABLE = resolve(
  process.env["MYDOCKER_EXE"] ?? join(import.meta.dir, "../../dist/mydocker"),
);

/** Milliseconds after which a command that still runs is killed, and its test fails. */
const TIMEOUT = 30_000;
/** Milliseconds for what comes before the tests of a file: it may download a Debian. */
const BEFORE_TIMEOUT = 240_000;

/** How a command ended, and what it wrote. */
export interface Result {
  readonly exitCode: number | null;
  /** The signal that ended it, else null. */
  readonly signal: string | null;
  /** Standard output: as text without the last newline, and as bytes. */
  readonly out: string;
  readonly err: string;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** How to call a command. */
export interface CallOptions {
  /** Standard input; nothing by default. */
  readonly stdin?: string | Uint8Array | Blob;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

/** A command that runs. */
export interface Running {
  readonly pid: number;
  readonly stdin: Bun.FileSink;
  kill(signal: NodeJS.Signals): void;
  /** What it wrote to standard output until now. */
  output(): string;
  /** Waits until it has written something that matches. */
  waitForOutput(pattern: RegExp): Promise<string>;
  /** Its end; kills it when the time is over, and throws. */
  end(timeout?: number): Promise<Result>;
}

/** State directories, and the executable called with them. */
export class Engine {
  readonly folder: string;
  readonly root: string;
  readonly runFolder: string;
  readonly env: Readonly<Record<string, string>>;

  /** What every command is called by: nothing, or for example nsenter(1). */
  readonly prefix: readonly string[] = [];

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "mydocker-test-"));
    this.root = join(this.folder, "root");
    this.runFolder = join(this.folder, "run");
    this.env = {
      PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: this.folder,
      MYDOCKER: EXECUTABLE,
      MYDOCKER_ROOT: this.root,
      MYDOCKER_RUN: this.runFolder,
      // Containers whose network is not what is tested have none: no bridges on the machine.
      MYDOCKER_NETWORK: "none",
    };
  }

  /** A new directory under the engine's own, for what a test needs. */
  directory(name: string): string {
    const path = join(this.folder, "files", name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** `mydocker ARGS…` to its end. */
  call(args: readonly string[], options: CallOptions = {}): Promise<Result> {
    return this.exec([EXECUTABLE, ...args], options);
  }

  /** `mydocker run --rm ARGS…` to its end. */
  run(args: readonly string[], options: CallOptions = {}): Promise<Result> {
    return this.call(["run", "--rm", ...args], options);
  }

  /** A bash script to its end; `$MYDOCKER` is the executable, `"$@"` are the arguments. */
  bash(script: string, options: CallOptions & { args?: readonly string[] } = {}): Promise<Result> {
    return this.exec(["bash", "-c", script, "bash", ...(options.args ?? [])], options);
  }

  /** `mydocker ARGS…` in the background, with a pipe as standard input. */
  start(args: readonly string[], options: Omit<CallOptions, "stdin"> = {}): Running {
    const child = Bun.spawn([...this.prefix, EXECUTABLE, ...args], {
      cwd: options.cwd ?? this.folder,
      env: { ...this.env, ...options.env },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.track(child);
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    const output = () => stdout.bytes().toString();
    const end = async (timeout = TIMEOUT) => {
      const result = await finish(child, args, timeout, stdout, stderr);
      child.stdin.end();
      return result;
    };
    return {
      pid: child.pid,
      stdin: child.stdin,
      kill: (signal) => child.kill(signal),
      output,
      end,
      waitForOutput: (pattern) =>
        waitFor(
          () => `${pattern} of ${args.join(" ")}; it wrote: ${output()}${stderr.bytes()}`,
          () => {
            if (pattern.test(output())) return output();
            if (child.exitCode !== null && stdout.isDone()) {
              throw new Error(`ended without ${pattern}: ${output()}${stderr.bytes()}`);
            }
            return undefined;
          },
        ),
    };
  }

  /** Any command to its end. */
  async exec(command: readonly string[], options: CallOptions): Promise<Result> {
    const child = Bun.spawn([...this.prefix, ...command], {
      cwd: options.cwd ?? this.folder,
      env: { ...this.env, ...options.env },
      stdin:
        typeof options.stdin === "string" ? new Blob([options.stdin]) : (options.stdin ?? null),
      stdout: "pipe",
      stderr: "pipe",
    });
    this.track(child);
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    return finish(child, command, options.timeout ?? TIMEOUT, stdout, stderr);
  }

  readonly #children = new Set<Bun.Subprocess>();

  /** Remembers a child process, so that it does not outlive a test that fails. */
  track(child: Bun.Subprocess): void {
    this.#children.add(child);
    child.exited.finally(() => this.#children.delete(child));
  }

  /** Kills what still runs, and removes the state directories. */
  remove(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    // The next command cleans up behind those that were killed.
    const options = { env: { ...this.env } };
    if (this.#children.size > 0) Bun.spawnSync([...this.prefix, EXECUTABLE, "ps"], options);
    // A test that failed may have left containers in the background.
    const left = existsSync(join(this.root, "containers"))
      ? Bun.spawnSync([...this.prefix, EXECUTABLE, "ps", "-aq"], options)
          .stdout.toString()
          .split("\n")
          .filter(Boolean)
      : [];
    if (left.length > 0) Bun.spawnSync([...this.prefix, EXECUTABLE, "rm", "-f", ...left], options);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What a stream has carried until now, and its end. */
interface Collected {
  bytes(): Buffer;
  isDone(): boolean;
  readonly done: Promise<void>;
}

function collect(stream: ReadableStream<Uint8Array>): Collected {
  const chunks: Uint8Array[] = [];
  let isDone = false;
  const done = (async () => {
    for await (const chunk of stream) chunks.push(chunk);
    isDone = true;
  })();
  return { bytes: () => Buffer.concat(chunks), isDone: () => isDone, done };
}

/** Waits for the end of the process and of both its streams: what holds them open is a leak. */
async function finish(
  child: Bun.Subprocess,
  command: readonly string[],
  timeout: number,
  stdout: Collected,
  stderr: Collected,
): Promise<Result> {
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, timeout);
  const exitCode = await child.exited;
  clearTimeout(timer);
  const streams = Promise.all([stdout.done, stderr.done]);
  const isClosed = await Promise.race([
    streams.then(() => true),
    Bun.sleep(5000).then(() => false),
  ]);
  const text = `${command.join(" ")}\n${stdout.bytes()}\n${stderr.bytes()}`;
  if (isLate) throw new Error(`still ran after ${timeout} ms: ${text}`);
  if (!isClosed) throw new Error(`ended, but something holds its output open: ${text}`);
  return {
    exitCode: child.signalCode === null ? exitCode : null,
    signal: child.signalCode === null ? null : String(child.signalCode),
    stdout: stdout.bytes(),
    stderr: stderr.bytes(),
    out: stdout.bytes().toString().replace(/\n$/, ""),
    err: stderr.bytes().toString().replace(/\n$/, ""),
  };
}

/**
 * An engine for the tests of one file. The first container is run before them, so that the default
 * image is unpacked; call {@link leavesNothingBehind} after the last test.
 *
 * @param options `before`: what else comes before the first look at the machine.
 */
export function useEngine(
  options: { readonly before?: () => Promise<void>; readonly engine?: Engine } = {},
): Engine {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`${EXECUTABLE} is not there: build it first, or run ./test/run`);
  }
  const engine = options.engine ?? new Engine();
  beforeAll(async () => {
    const { exitCode, err } = await engine.run(["--network", "none", "busybox", "true"]);
    if (exitCode !== 0) console.error(`the first container failed (${exitCode}): ${err}`);
    await options.before?.();
    snapshots.set(engine, takeSnapshot(engine));
  }, BEFORE_TIMEOUT);
  afterAll(() => engine.remove());
  return engine;
}

const snapshots = new WeakMap<Engine, Snapshot>();

/**
 * The last test of a file: mounts, cgroups, links, processes, files and firewall rules are as they
 * were before its first.
 */
export function leavesNothingBehind(engine: Engine): void {
  test("nothing is left behind", async () => {
    const before = snapshots.get(engine);
    if (before === undefined) throw new Error("no snapshot was taken");
    const leaks = () => findLeaks(before, takeSnapshot(engine));
    try {
      // Others may run containers on this machine: what is theirs goes away, what is ours stays.
      await waitFor("no leaks", () => leaks().length === 0, 5000);
    } catch (cause) {
      throw new Error(`left behind:\n${leaks().join("\n")}`, { cause });
    }
  });
}
