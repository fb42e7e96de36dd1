/** How many transfers go on at a time. */

/** So many at a time, first come, first served. */
export class Semaphore {
  private readonly waiting: (() => void)[] = [];

  constructor(private free: number) {}

  /** Waits for a place, which is given back when it is disposed of. */
  async acquire(): Promise<Disposable> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    return {
      [Symbol.dispose]: () => {
        const next = this.waiting.shift();
        if (next === undefined) this.free += 1;
        else next();
      },
    };
  }
}
