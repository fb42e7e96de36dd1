/** Options that stand before the command. */
import type { OptionTable } from "./option_table.ts";

/** They end at the first word that is no option: the command. */
export const GLOBAL_OPTIONS = {
  debug: {
    type: "boolean",
    short: "D",
    description: "Show every kernel call, with its arguments and errno, on stderr",
  },
  version: {
    type: "boolean",
    short: "v",
    description: "Show the version in one line",
  },
} as const satisfies OptionTable;
