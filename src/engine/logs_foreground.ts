/** The log of a container in the foreground, which its caller sees as well: what cannot be logged is shown all the same. */
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { log as messages } from "../log.ts";
import { DEFAULT_LOG, type LogSink, openLog, type StreamName } from "./logs_writer.ts";
import type { LogRequest } from "./run_options.ts";

/** A log that gives up when the disk is full, instead of holding the container up. */
export class ForegroundLog {
  readonly #path: string;
  #sink: LogSink | undefined;

  /** @param path of the newest file */
  constructor(path: string, request: LogRequest = DEFAULT_LOG, attributes?: string) {
    this.#path = path;
    this.#attempt(() => {
      this.#sink = openLog(path, request, attributes);
      return true;
    });
  }

  /** Takes output. */
  add(stream: StreamName, bytes: Uint8Array): void {
    this.#attempt(() => this.#sink?.add(stream, bytes) ?? true);
  }

  /** Writes the last lines, which have no end. */
  close(): void {
    this.#attempt(() => this.#sink?.finish() ?? true);
    this.#sink?.close();
    this.#sink = undefined;
  }

  #attempt(act: () => boolean): void {
    let why = "the disk is full";
    try {
      if (act()) return;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      why = errnoText(error.errno);
    }
    messages.warn(`the log ${this.#path} cannot be written, and ends here: ${why}`);
    this.#sink?.close();
    this.#sink = undefined;
  }
}
