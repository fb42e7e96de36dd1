/** What getdents64(2) has written into a buffer: struct linux_dirent64 { u64 ino; s64 off; u16 reclen; u8 type; char name[]; }. */

const RECLEN = 16;
const NAME = 19;
const ZERO = 0x30;

/**
 * The names that are numbers, as most in directories of procfs are. By hand: an inode's number is no
 * UTF-8, and decoding it with the rest costs more than reading the directory.
 * @param length how much of `buffer` the kernel has written
 */
export function numbersIn(buffer: Uint8Array, length: number): number[] {
  const numbers: number[] = [];
  for (let at = 0; at < length; ) {
    let number = 0;
    let name = at + NAME;
    for (; buffer[name] !== 0; name++) {
      const digit = (buffer[name] as number) - ZERO;
      number = digit >= 0 && digit <= 9 ? number * 10 + digit : Number.NaN;
    }
    if (!Number.isNaN(number)) numbers.push(number);
    at += (buffer[at + RECLEN] as number) | ((buffer[at + RECLEN + 1] as number) << 8);
  }
  return numbers;
}
