/** Processes that unpack layers side by side. */
import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";
import { UNPACK_STAGE, type UnpackAnswer, type UnpackJob } from "./unpack_protocol.ts";

/** A layer that a process unpacked. */
export type UnpackResult = Extract<UnpackAnswer, { kind: "done" }>;

/** As many processes as there are processors, within reason: each takes memory. */
const MOST = 4;

/** Up to `MOST` of them; those that are started work until the pool is disposed of. */
export class UnpackPool implements AsyncDisposable {
  private readonly idle: Worker[] = [];
  private readonly all: Worker[] = [];
  private readonly queue: ((worker: Worker) => void)[] = [];
  private readonly size: number;

  /** @param jobs how many there will be at most */
  constructor(jobs: number, processors: number = navigator.hardwareConcurrency) {
    this.size = Math.max(1, Math.min(MOST, processors, jobs));
  }

  /** Unpacks a layer. @param progress bytes of the compressed layer that were read */
  async unpack(job: UnpackJob, progress: (bytes: number) => void): Promise<UnpackResult> {
    const worker = await this.take();
    try {
      return await worker.run(job, progress);
    } finally {
      this.give(worker);
    }
  }

  private take(): Promise<Worker> | Worker {
    const free = this.idle.pop();
    if (free !== undefined) return free;
    if (this.all.length < this.size) {
      const worker = new Worker();
      this.all.push(worker);
      return worker;
    }
    return new Promise((resolve) => this.queue.push(resolve));
  }

  private give(worker: Worker): void {
    const next = this.queue.shift();
    if (next === undefined) this.idle.push(worker);
    else next(worker);
  }

  /** Ends them, also in the middle of a layer. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((worker) => worker.end()));
  }
}

class Worker {
  private readonly child;
  private readonly lines: AsyncGenerator<UnpackAnswer>;

  constructor() {
    this.child = Bun.spawn([process.execPath, UNPACK_STAGE], {
      // Nothing of the caller's: what it works on comes from strangers.
      env: { PATH: "/usr/bin:/bin" },
      cwd: "/",
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.lines = answers(this.child.stdout);
  }

  async run(job: UnpackJob, progress: (bytes: number) => void): Promise<UnpackResult> {
    this.child.stdin.write(`${JSON.stringify(job)}\n`);
    await this.child.stdin.flush();
    for (;;) {
      const next = await this.lines.next();
      if (next.done)
        throw new MydockerError("the process that unpacks layers ended in the middle of one");
      const answer = next.value;
      if (answer.kind === "progress") progress(answer.bytes);
      else if (answer.kind === "done") return answer;
      else {
        const { message, hint } = answer;
        throw new MydockerError(message, hint === undefined ? {} : { hint });
      }
    }
  }

  async end(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
  }
}

async function* answers(stream: ReadableStream<Uint8Array>): AsyncGenerator<UnpackAnswer> {
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decodeBytes(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}
