/** A process in the foreground: signals are passed on, a terminal is copied, until it has ended. */
import { superviseForeground } from "../../engine/foreground.ts";
import { SignalQueue } from "../../engine/signals.ts";
import { RawTerminal } from "../../engine/terminal.ts";
import type { ExitStatus } from "../../linux/process.ts";
import { getWindowSize, isTerminal, setWindowSize } from "../../linux/tty.ts";
import type { Started } from "../../runtime/launch.ts";

/** Catches signals from now on. */
export const catchSignals = (): SignalQueue => new SignalQueue();

/** Attends to a process until it has ended. @returns how it ended */
export async function attendTo(started: Started, signals: SignalQueue): Promise<ExitStatus> {
  const { console } = started;
  const size = console === undefined ? undefined : (getWindowSize(0) ?? getWindowSize(1));
  if (console !== undefined && size !== undefined) setWindowSize(console, size);
  using _raw = console !== undefined && isTerminal(0) ? new RawTerminal(0) : undefined;
  return await superviseForeground({
    started,
    interactive: console !== undefined,
    signals,
    proxySignals: true,
    ownPidNamespace: false,
    killRest: () => undefined,
  });
}
