/** The machine (`e_machine`, elf(5)) a little-endian ELF file is for; undefined for other files. */
export function elfMachine(header: Uint8Array): number | undefined {
  const isElf = header.length >= 20 && Buffer.from(header.subarray(0, 4)).equals(MAGIC);
  const isLittleEndian = header[5] === ELFDATA2LSB;
  return isElf && isLittleEndian ? Buffer.from(header).readUInt16LE(18) : undefined;
}

const MAGIC = Buffer.from("\x7fELF", "latin1");
const ELFDATA2LSB = 1;
