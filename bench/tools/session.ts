/** What a benchmark works with, and that nothing of it stays. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { hostArch } from "../../build/arch.ts";
import { buildConstants } from "../../build/constants.ts";
import { makeDefaultImage } from "../../build/default_image.ts";
import { buildExecutable } from "../../build/executable.ts";
import { close, ftruncate, O, open } from "../../src/linux/fd.ts";

const ROOT = join(import.meta.dir, "../..");
/** Where the executables are built that are measured, out of the way of the user's own. */
const OUTDIR = join(ROOT, "node_modules/.cache/mydocker/bench");
const IMAGE_FOLDER = join(ROOT, "src/images/default");

/** Somebody pressed Ctrl-C. */
export class Interrupted extends Error {}

/** An executable to measure, state directories of its own, and the undo of everything. */
export class Session implements AsyncDisposable {
  readonly undo = new AsyncDisposableStack();
  readonly folder: string;
  readonly runFolder: string;
  /** `NAME=VALUE` for programs that are measured. */
  readonly env: readonly string[];
  /** A file for what they say on stderr. */
  readonly stderr: number;
  #interrupted = false;

  private constructor(readonly executable: string) {
    this.folder = mkdtempSync(join(tmpdir(), "mydocker-bench-"));
    this.undo.defer(() => rmSync(this.folder, { recursive: true, force: true }));
    // A tmpfs on most machines, as /run/mydocker is.
    this.runFolder = mkdtempSync("/run/mydocker-bench-");
    this.undo.defer(() => rmSync(this.runFolder, { recursive: true, force: true }));
    this.env = [
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOME=/root",
      `MYDOCKER_ROOT=${join(this.folder, "root")}`,
      `MYDOCKER_RUN=${this.runFolder}`,
      // No bridges on the machine: what measures networks names them.
      "MYDOCKER_NETWORK=none",
    ];
    this.stderr = open(join(this.folder, "stderr"), O.O_RDWR | O.O_CREAT | O.O_TRUNC, 0o600);
    this.undo.defer(() => close(this.stderr));
    const interrupt = () => {
      this.#interrupted = true;
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, interrupt);
      this.undo.defer(() => {
        process.off(signal, interrupt);
      });
    }
  }

  /** Builds the executable, unless MYDOCKER_EXE names one. @throws {Error} without root */
  static async open(): Promise<Session> {
    if (process.geteuid?.() !== 0) throw new Error("containers need root, and so does this");
    const given = process.env["MYDOCKER_EXE"];
    const entry = join(ROOT, "src/main.ts");
    return new Session(given === undefined ? await compile(entry, "product") : resolve(given));
  }

  /** Compiles a program with the flags of the executable itself. @returns its path */
  compile(name: string): Promise<string> {
    return compile(join(ROOT, `bench/programs/${name}.ts`), name);
  }

  /** A new empty directory. */
  directory(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Lets signals come in. @throws {Interrupted} */
  async checkpoint(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#interrupted) throw new Interrupted("interrupted");
  }

  /** Why a measured program failed: what it said last. */
  failure(argv: readonly string[], code: number | undefined): Error {
    const said = readFileSync(join(this.folder, "stderr"), "utf8").trim();
    ftruncate(this.stderr, 0);
    return new Error(`${argv.join(" ")}: exit code ${code}: ${said}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.undo[Symbol.asyncDispose]();
  }
}

async function compile(entry: string, name: string): Promise<string> {
  makeDefaultImage(hostArch(), IMAGE_FOLDER);
  return await buildExecutable({
    entry,
    target: hostArch(),
    outdir: join(OUTDIR, name),
    constants: await buildConstants(),
    imageFolder: IMAGE_FOLDER,
  });
}
