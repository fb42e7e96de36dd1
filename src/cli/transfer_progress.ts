/** How `pull` and `push` show what they do: a line for each layer, which changes in a terminal, as Docker's. */

import { encodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import type { LayerStatus, TransferEvent } from "../images/transfer.ts";
import { writeAll } from "../linux/fd.ts";
import { getWindowSize, isTerminal } from "../linux/tty.ts";
import { printable } from "../log.ts";

/** Milliseconds between two pictures of a terminal. */
const FRAME = 100;
/** Docker leaves the bar out where the terminal is narrower. */
const BAR_COLUMNS = 110;
const BAR = 50;

/** Statuses that only a terminal shows: between two lines of a log they say nothing. */
const PASSING: ReadonlySet<LayerStatus> = new Set(["Downloading", "Extracting", "Pushing"]);

interface Line {
  readonly id: string;
  text: string;
  shown: string;
  status: LayerStatus;
}

/** Shows events on a descriptor; `finish` when there are no more. */
export class TransferProgress {
  private readonly lines = new Map<string, Line>();
  private readonly terminal: boolean;
  private readonly columns: number;
  private drawn = 0;
  private last = 0;

  /** @param fd stdout, or stderr where stdout is a container's */
  constructor(private readonly fd: number) {
    this.terminal = isTerminal(fd);
    const size = this.terminal ? getWindowSize(fd) : undefined;
    this.columns =
      size === undefined ? 80 : new DataView(size.buffer, size.byteOffset).getUint16(2, true);
  }

  /** Takes what happened. */
  readonly show = (event: TransferEvent): void => {
    if (event.kind === "message") {
      this.finish();
      this.write(`${printable(event.text)}\n`);
      return;
    }
    const { id, status } = event;
    const line = this.lines.get(id);
    // A layer is unpacked while it arrives: what is on its way is the more interesting half.
    if (status === "Extracting" && line?.status === "Downloading") return;
    if (!this.terminal) {
      if (!PASSING.has(status) && line?.status !== status) this.write(`${id}: ${status}\n`);
    }
    const text = `${status}${amount(event.current, event.total, this.columns)}`;
    if (line === undefined) this.lines.set(id, { id, text, shown: "", status });
    else {
      line.text = text;
      line.status = status;
    }
    if (this.terminal && (!PASSING.has(status) || performance.now() - this.last >= FRAME))
      this.draw();
  };

  /** Draws the last picture; what comes next begins below it. */
  finish(): void {
    if (this.terminal) this.draw();
    this.lines.clear();
    this.drawn = 0;
  }

  private draw(): void {
    this.last = performance.now();
    let out = this.drawn > 0 ? `\x1b[${this.drawn}A` : "";
    let at = 0;
    for (const line of this.lines.values()) {
      const isNew = at >= this.drawn;
      const text = `${line.id}: ${line.text}`.slice(0, this.columns - 1);
      out += isNew || text !== line.shown ? `\x1b[2K\r${text}\n` : "\n";
      line.shown = text;
      at += 1;
    }
    this.drawn = at;
    this.write(out);
  }

  private write(text: string): void {
    if (text === "") return;
    try {
      writeAll(this.fd, encodeBytes(text), this.fd === 1 ? "stdout" : "stderr");
    } catch (error) {
      // Who does not look any more still wants the image.
      if (!isErrno(error, "EPIPE")) throw error;
    }
  }
}

/** ` [====>    ]  1.2MB/3.4MB`, in Docker's form. */
function amount(current: number | undefined, total: number | undefined, columns: number): string {
  if (current === undefined || total === undefined || total === 0) return "";
  const share = Math.min(BAR, Math.floor((current / total) * BAR));
  const bar = columns > BAR_COLUMNS ? `[${"=".repeat(share)}>${" ".repeat(BAR - share)}] ` : "";
  return ` ${bar}${size(current).padStart(8)}/${size(total)}`;
}

/** `12.34MB`: four digits (go-units, HumanSize). */
function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}
