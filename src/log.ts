/** What mydocker says on stderr. Imports nothing of ours. */
import { type ConsolaInstance, createConsola, type LogObject } from "consola/core";

/** What each kind of message begins with; errors and warnings are told apart from what a container writes. */
const PREFIXES: Readonly<Record<string, string>> = {
  error: "mydocker: ",
  warn: "mydocker: warning: ",
  info: "",
  debug: "mydocker: debug: ",
};

const DEBUG_LEVEL = 4;
let isDebug = false;
let instance: ConsolaInstance | undefined;

/** Made when something is said: it takes 0.2 ms, a tenth of a start. */
function logger(): ConsolaInstance {
  instance ??= createConsola({
    level: isDebug ? DEBUG_LEVEL : 3,
    // Repeated messages are not folded into one: each call that --debug shows is one.
    throttle: 0,
    reporters: [{ log: report }],
  });
  return instance;
}

/** One message, one line, at once. `process.stderr` would cost 6 ms; console.error writes to descriptor 2. */
function report({ type, args }: LogObject): void {
  // biome-ignore lint/suspicious/noConsole: this is where it is meant to be
  console.error(`${PREFIXES[type] ?? ""}${args.map(String).map(printable).join(" ")}`);
}

/** Nothing that would have to be escaped. */
const PLAIN = /^[\x20-\x7e]*$/;

/**
 * File names and error texts may hold bytes that are not UTF-8 (as lone surrogates) and control
 * characters, which could drive the terminal or look like another line: those as in C, `\n`, `\xff`.
 */
export function printable(text: string): string {
  if (PLAIN.test(text)) return text; // as nearly always, in a tenth of the time
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are escaped
    /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/gu,
    (char) => {
      const code = char.charCodeAt(0);
      if (char === "\n") return "\\n";
      if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
      return code < 0x100
        ? `\\x${code.toString(16).padStart(2, "0")}`
        : `\\u${code.toString(16).padStart(4, "0")}`;
    },
  );
}

/** Shows {@link log.debug} from now on. */
export function enableDebugLog(): void {
  isDebug = true;
  if (instance !== undefined) instance.level = DEBUG_LEVEL;
}

/** Whether --debug was given. */
export const isDebugLog = (): boolean => isDebug;

/** The messages, by how much they matter. */
export const log = {
  /** Why a command failed. */
  error: (message: string): void => logger().error(message),
  /** Something that did not work, but did not stop the command either. */
  warn: (message: string): void => logger().warn(message),
  /** A line as it is: hints, progress. */
  info: (message: string): void => logger().info(message),
  /** Only with --debug. */
  debug: (message: string): void => {
    if (isDebug) logger().debug(message);
  },
} as const;
