/** The OCI runtime's commands by name; each is loaded when it is called. */
import type { OciCommand } from "./command.ts";

type Load = () => Promise<OciCommand>;

/** In the order of the help. */
export const COMMANDS: Readonly<Record<string, Load>> = {
  create: async () => (await import("./create.ts")).command,
  start: async () => (await import("./start.ts")).command,
  run: async () => (await import("./run.ts")).command,
  state: async () => (await import("./state.ts")).command,
  kill: async () => (await import("./kill.ts")).command,
  delete: async () => (await import("./delete.ts")).command,
  exec: async () => (await import("./exec.ts")).command,
  ps: async () => (await import("./ps.ts")).command,
  list: async () => (await import("./list.ts")).command,
  pause: async () => (await import("./pause.ts")).command,
  resume: async () => (await import("./resume.ts")).command,
  update: async () => (await import("./update.ts")).command,
  events: async () => (await import("./events.ts")).command,
  spec: async () => (await import("./spec.ts")).command,
  features: async () => (await import("./features.ts")).command,
};
