/** Signals by name and number, as github.com/moby/sys/signal reads them. */
import { UsageError } from "../../errors.ts";
import { SIGNALS } from "../../linux/process.ts";

/** What glibc leaves programs of the real-time signals (signal(7)). */
const SIGRTMIN = 34;
const SIGRTMAX = 64;
const OTHER_NAMES: Readonly<Record<string, number>> = {
  SIGIOT: SIGNALS.SIGABRT,
  SIGCLD: SIGNALS.SIGCHLD,
  SIGPOLL: SIGNALS.SIGIO,
  SIGRTMIN,
  SIGRTMAX,
};

/** `TERM`, `sigterm`, `15`, `RTMIN+3`. @returns the number, 1 to 64 */
export function parseSignal(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : signalByName(text.toUpperCase());
  if (number === undefined || number < 1 || number > SIGRTMAX)
    throw new UsageError(`Invalid signal: ${text}`);
  return number;
}

function signalByName(upper: string): number | undefined {
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  const named = { ...SIGNALS, ...OTHER_NAMES } as Readonly<Record<string, number>>;
  if (Object.hasOwn(named, name)) return named[name];
  const relative = /^SIGRT(?:MIN\+|MAX-)(\d+)$/.exec(name);
  if (relative === null) return undefined;
  const offset = Number(relative[1]);
  if (offset > SIGRTMAX - SIGRTMIN) return undefined;
  return name.startsWith("SIGRTMIN") ? SIGRTMIN + offset : SIGRTMAX - offset;
}
