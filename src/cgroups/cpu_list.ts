/** Lists of processors and memory nodes: cpuset(7), "List format". */

/** The numbers in `0-2,4`, or undefined when it is no such list. Numbers up to 65535. */
export function parseCpuList(text: string): ReadonlySet<number> | undefined {
  const numbers = new Set<number>();
  for (const part of text.split(",")) {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? [];
    const from = Number(first);
    const to = Number(last);
    if (first === undefined || from > to || to > 65535) return undefined;
    for (let number = from; number <= to; number++) numbers.add(number);
  }
  return numbers;
}

/** What of the list `asked` is not in the list `available`; empty when `available` cannot be read. */
export function missingFromList(
  asked: ReadonlySet<number>,
  available: string | undefined,
): number[] {
  const there = parseCpuList(available ?? "");
  return there === undefined ? [] : [...asked].filter((number) => !there.has(number));
}
