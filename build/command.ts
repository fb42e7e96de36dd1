/** Runs a program to its end and returns what it printed; throws with all its output if it fails. */
export function output(
  command: readonly string[],
  options: { readonly cwd?: string; readonly env?: Record<string, string> } = {},
): string {
  const { stdout, stderr, exitCode, signalCode } = Bun.spawnSync([...command], {
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    env: { ...process.env, LC_ALL: "C", ...options.env },
    stdin: "ignore",
  });
  if (exitCode !== 0) {
    const end = signalCode ?? `exit code ${exitCode}`;
    throw new Error(`${command.join(" ")}: ${end}\n${stderr}${stdout}`.trimEnd());
  }
  return stdout.toString();
}

/** Like {@link output}, but `undefined` if the program is missing or fails. */
export function tryOutput(...parameters: Parameters<typeof output>): string | undefined {
  try {
    return output(...parameters);
  } catch {
    return undefined;
  }
}
