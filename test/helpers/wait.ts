/** Waiting for what happens in other processes. */

/**
 * Polls until `condition` returns something that is not undefined, null or false.
 *
 * @param what What is waited for, for the error; a function is asked when there is one.
 * @param timeout Milliseconds.
 * @throws {Error} When the time is over.
 */
export async function waitFor<T>(
  what: string | (() => string),
  condition: () => T | Promise<T>,
  timeout = 10_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const end = performance.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== null && value !== false) {
      return value as NonNullable<Exclude<T, false>>;
    }
    if (performance.now() > end) {
      const name = typeof what === "string" ? what : what();
      throw new Error(`waited ${timeout} ms in vain for ${name}`);
    }
    await Bun.sleep(10);
  }
}
