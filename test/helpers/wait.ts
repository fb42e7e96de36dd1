/** Waiting for what happens in other processes. */

/**
 * Polls until `condition` returns something that is not undefined, null or false.
 *
 * @param what What is waited for, for the error.
 * @param timeout Milliseconds.
 * @throws {Error} When the time is over.
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeout = 10_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const end = performance.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== null && value !== false) {
      return value as NonNullable<Exclude<T, false>>;
    }
    if (performance.now() > end) throw new Error(`waited ${timeout} ms in vain for ${what}`);
    await Bun.sleep(10);
  }
}
