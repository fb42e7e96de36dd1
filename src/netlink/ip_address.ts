/** Internet addresses: 4 or 16 bytes, and their usual texts (RFC 4291, RFC 5952). */

/** The bytes of an address; undefined for a text that is none. */
export function parseIp(address: string): Uint8Array | undefined {
  return address.includes(":") ? parseIpv6(address) : parseIpv4(address);
}

function parseIpv4(address: string): Uint8Array | undefined {
  const parts = address.split(".");
  // No leading zeros: some read them as octal.
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))) {
    return undefined;
  }
  const numbers = parts.map(Number);
  return numbers.every((number) => number <= 255) ? Uint8Array.from(numbers) : undefined;
}

function parseIpv6(address: string): Uint8Array | undefined {
  const parts = address.split("::");
  const halves = parts.map((half, index) => parseGroups(half, index === parts.length - 1));
  if (halves.length > 2 || halves.includes(undefined)) return undefined;
  const [head = [], tail = []] = halves as number[][];
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

/** @param last an IPv4 address may be at its end */
function parseGroups(half: string, last: boolean): number[] | undefined {
  if (half === "") return [];
  const found: number[] = [];
  const groups = half.split(":");
  for (const [index, group] of groups.entries()) {
    const dotted = last && index === groups.length - 1 ? parseIpv4(group) : undefined;
    if (dotted !== undefined) {
      found.push(...dotted);
      continue;
    }
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
    const number = Number.parseInt(group, 16);
    found.push(number >> 8, number & 0xff);
  }
  return found;
}

/** The text of an address of 4 or 16 bytes. */
export function formatIp(address: Uint8Array): string {
  if (address.length === 4) return address.join(".");
  const groups: number[] = [];
  for (let at = 0; at < address.length; at += 2) {
    groups.push(((address[at] as number) << 8) | (address[at + 1] as number));
  }
  const { start, length } = longestZeros(groups);
  const hex = (some: number[]) => some.map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/** The first of the longest runs of zeros. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
