/** A command on a terminal of its own, as a person has it. */

import { type Engine, EXECUTABLE } from "./cli.ts";
import { waitFor } from "./wait.ts";

/** The modes of a terminal (termios(3)). */
export interface TerminalModes {
  readonly input: number;
  readonly output: number;
  readonly local: number;
  readonly control: number;
}

/** A terminal and the command on it. */
export interface TerminalSession {
  readonly pid: number;
  /** Everything the terminal has shown. */
  output(): string;
  type(text: string): void;
  resize(columns: number, rows: number): void;
  modes(): TerminalModes;
  /** Waits until it has shown something that matches. */
  waitForOutput(pattern: RegExp): Promise<string>;
  /** The command's end. */
  end(): Promise<{ exitCode: number | null; signal: string | null; output: string }>;
  kill(signal: NodeJS.Signals): void;
  /** The terminal goes away, as when its window is closed. */
  close(): void;
}

/** Starts `mydocker ARGS…` on a new terminal of 100 columns and 30 rows, which is its controlling one. */
export function onTerminal(engine: Engine, args: readonly string[]): TerminalSession {
  return spawnOnTerminal(engine, [EXECUTABLE, ...args]);
}

/** Starts any program on a new terminal. */
export function spawnOnTerminal(engine: Engine, command: readonly string[]): TerminalSession {
  let text = "";
  const decoder = new TextDecoder();
  // Given as options, not as a Terminal: only so it becomes the command's controlling terminal.
  const child = Bun.spawn([...command], {
    cwd: engine.folder,
    env: { ...engine.env, TERM: "xterm" },
    terminal: {
      cols: 100,
      rows: 30,
      data: (_, bytes) => {
        text += decoder.decode(bytes, { stream: true });
      },
    },
  });
  engine.track(child);
  const { terminal } = child;
  if (terminal === undefined) throw new Error("bun gave the command no terminal");
  return {
    pid: child.pid,
    output: () => text,
    type: (input) => void terminal.write(input),
    resize: (columns, rows) => terminal.resize(columns, rows),
    modes: () => ({
      input: terminal.inputFlags,
      output: terminal.outputFlags,
      local: terminal.localFlags,
      control: terminal.controlFlags,
    }),
    waitForOutput: (pattern) =>
      waitFor(
        () => `${pattern} on the terminal of ${command.join(" ")}; it shows: ${text}`,
        () => {
          if (pattern.test(text)) return text;
          if (child.exitCode !== null)
            throw new Error(`ended (${child.exitCode}), showing: ${text}`);
          return undefined;
        },
      ),
    end: async () => {
      const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
      await child.exited;
      clearTimeout(timer);
      await Bun.sleep(50); // what is still on its way through the terminal
      const signal = child.signalCode === null ? null : String(child.signalCode);
      return { exitCode: signal === null ? child.exitCode : null, signal, output: text };
    },
    kill: (signal) => child.kill(signal),
    close: () => terminal.close(),
  };
}
