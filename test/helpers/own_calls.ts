/** How many kernel calls one run takes, by what `--debug` shows. */
/** How often it is counted: the fewest are those of a run that has not waited for anything. */
const RUNS = 5;

/**
 * The calls of `run --rm busybox true`, less those that look at threads of the JavaScript runtime,
 * which are as many as these take to rest.
 * @param env with the state directories of an engine that has run a container before
 */
export function ownCalls(executable: string, env: Readonly<Record<string, string>>): number {
  const counts = Array.from({ length: RUNS }, () => {
    const { stderr, exitCode } = Bun.spawnSync(
      [executable, "--debug", "run", "--rm", "--network", "none", "busybox", "true"],
      { env: { ...env } },
    );
    if (exitCode !== 0) throw new Error(`run: ${stderr.toString().slice(-500)}`);
    const calls = stderr.toString().match(/^mydocker: debug: .*$/gm) ?? [];
    return calls.filter((call) => !/self\/task|^mydocker: debug: (usleep|poll)/.test(call)).length;
  });
  return Math.min(...counts);
}
