/** Copies bytes from one descriptor to another, as far as both are ready; for a poll(2) loop. */
import { isErrno, SysError } from "../ffi/call.ts";
import {
  close,
  F_SETFL,
  fcntl,
  O,
  POLLIN,
  POLLOUT,
  type PollEntry,
  read,
  write,
} from "../linux/fd.ts";

/** How much is read at once: what a pipe holds. */
const CHUNK = 65536;
/** What a pipe takes without blocking when it says that it is ready (pipe(7), PIPE_BUF). */
const PIPE_BUF = 4096;

/** One direction of copying. */
export interface PumpOptions {
  readonly source: number;
  readonly sink: number;
  /** Whose descriptor it is to close when the copying ends. */
  readonly closeSource: boolean;
  readonly closeSink: boolean;
  /** The sink may block: it is written to only when it is ready, and no more than it then takes. */
  readonly sinkBlocks: boolean;
  /** Instead of read(2) and write(2), for what would block. */
  readonly read?: (buffer: Uint8Array) => number;
  readonly write?: (bytes: Uint8Array) => number;
  /** Told of what was read, after it was passed on as far as possible. */
  readonly onRead?: (bytes: Uint8Array) => void;
}

/** One direction of a container's input and output. Ends at the source's end, or when nobody reads the sink. */
export class Pump {
  readonly #buffer = new Uint8Array(CHUNK);
  #from = 0;
  #to = 0;
  #open = true;
  readonly #options: PumpOptions;
  #limited = false;
  /** Ended because the source was at its end, or gone. */
  sourceEnded = false;
  /** Ended because the sink takes nothing any more: EPIPE when nobody is left to read it. */
  sinkError: SysError | undefined;

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  get done(): boolean {
    return !this.#open;
  }

  /** What to wait for next. */
  interest(): PollEntry {
    const pending = this.#from < this.#to;
    return pending
      ? { fd: this.#options.sink, events: POLLOUT, revents: 0 }
      : { fd: this.#options.source, events: POLLIN, revents: 0 };
  }

  /** Moves bytes once; called when {@link interest} is ready. */
  step(): void {
    if (this.#from < this.#to) this.#write();
    else this.#read();
  }

  /** Nobody writes to the source any more: the copying ends when it is empty, even if it is held open. */
  limitToWhatIsThere(): void {
    if (this.done || this.#limited) return;
    this.#limited = true;
    fcntl(this.#options.source, F_SETFL, O.O_NONBLOCK);
  }

  #read(): void {
    const { source, sinkBlocks, onRead } = this.#options;
    let count: number;
    try {
      count = this.#options.read?.(this.#buffer) ?? read(source, this.#buffer);
    } catch (error) {
      // The master of a terminal says EIO when the last slave is closed (pty(7)).
      if (!isErrno(error, "EIO", "EAGAIN", "EBADF", "EISDIR", "ECONNRESET")) throw error;
      if (error.code === "EAGAIN" && !this.#limited) return;
      count = 0;
    }
    if (count === 0) {
      this.sourceEnded = true;
      this.end();
      return;
    }
    this.#from = 0;
    this.#to = count;
    if (!sinkBlocks) this.#write();
    onRead?.(this.#buffer.subarray(0, count));
  }

  #write(): void {
    const { sink, sinkBlocks } = this.#options;
    const limit = sinkBlocks ? PIPE_BUF : CHUNK;
    const bytes = this.#buffer.subarray(this.#from, Math.min(this.#to, this.#from + limit));
    try {
      this.#from += this.#options.write?.(bytes) ?? write(sink, bytes);
    } catch (error) {
      if (isErrno(error, "EAGAIN")) return;
      if (!(error instanceof SysError)) throw error;
      this.sinkError = error;
      this.end();
    }
  }

  /** Stops copying. Closing the source tells its writer, as in a shell's pipeline. */
  end(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#options.closeSource) close(this.#options.source);
    if (this.#options.closeSink) close(this.#options.sink);
  }
}
