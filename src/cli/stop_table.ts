/** How `stop` and `restart` ask a container to end. */
import type { OptionTable } from "./option_table.ts";
import { parseInteger } from "./values/number.ts";
import { parseSignal } from "./values/signal.ts";

/** Docker's options of both. */
export const STOP_OPTIONS = {
  signal: {
    type: "value",
    short: "s",
    value: "signal",
    description: "Signal that asks the container to end",
    parse: parseSignal,
  },
  timeout: {
    type: "value",
    short: "t",
    alias: "time",
    value: "seconds",
    description: "How long to wait before it is killed, -1 for ever",
    parse: parseInteger,
  },
} as const satisfies OptionTable;
