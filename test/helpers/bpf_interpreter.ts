/** Runs a seccomp filter as the kernel does (kernel/bpf/core.c, kernel/seccomp.c), for tests. */

/** struct seccomp_data. */
export interface Call {
  readonly arch: number;
  readonly nr: number;
  readonly args: readonly bigint[];
}

/** A filter that can be run. */
export class Filter {
  private readonly view: DataView;
  /** How many instructions the last run took. */
  steps = 0;
  /** Whether the last run looked at an argument. */
  sawArguments = false;

  constructor(readonly program: Uint8Array) {
    if (program.length === 0 || program.length % 8 !== 0) throw new Error("not struct sock_filter");
    this.view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  }

  /** How many instructions there are. */
  get length(): number {
    return this.program.length / 8;
  }

  /** Checks what the kernel checks on loading: known instructions, jumps inside, a return at the end. */
  verify(): void {
    if (this.length > 4096) throw new Error("too long");
    for (let pc = 0; pc < this.length; pc++) {
      const { code, jt, jf, k } = this.at(pc);
      switch (code) {
        case 0x20:
          if (k > 60 || k % 4 !== 0) throw new Error(`load of ${k} at ${pc}`);
          break;
        case 0x05:
          if (pc + 1 + k >= this.length) throw new Error(`jump out at ${pc}`);
          break;
        case 0x15:
        case 0x25:
        case 0x35:
        case 0x45:
          if (pc + 1 + Math.max(jt, jf) >= this.length) throw new Error(`jump out at ${pc}`);
          break;
        case 0x54:
        case 0x06:
          break;
        default:
          throw new Error(`instruction ${code} at ${pc}`);
      }
    }
    if (this.at(this.length - 1).code !== 0x06) throw new Error("no return at the end");
  }

  private at(pc: number) {
    return {
      code: this.view.getUint16(pc * 8, true),
      jt: this.view.getUint8(pc * 8 + 2),
      jf: this.view.getUint8(pc * 8 + 3),
      k: this.view.getUint32(pc * 8 + 4, true),
    };
  }

  /** The value that the filter returns for a call. */
  run(call: Call): number {
    const { view } = this;
    let word = 0;
    this.steps = 0;
    this.sawArguments = false;
    for (let pc = 0; ; pc++) {
      this.steps++;
      const at = pc * 8;
      const k = view.getUint32(at + 4, true);
      let holds: boolean;
      switch (view.getUint16(at, true)) {
        case 0x20:
          if (k >= 16) this.sawArguments = true;
          word = dataWord(call, k);
          continue;
        case 0x54:
          word = (word & k) >>> 0;
          continue;
        case 0x06:
          return k;
        case 0x05:
          pc += k;
          continue;
        case 0x15:
          holds = word === k;
          break;
        case 0x25:
          holds = word > k;
          break;
        case 0x35:
          holds = word >= k;
          break;
        case 0x45:
          holds = (word & k) !== 0;
          break;
        default:
          throw new Error(`instruction ${view.getUint16(at, true)} at ${pc}`);
      }
      pc += view.getUint8(at + (holds ? 2 : 3));
    }
  }
}

function dataWord({ arch, nr, args }: Call, offset: number): number {
  if (offset === 0) return nr >>> 0;
  if (offset === 4) return arch >>> 0;
  if (offset < 16) return 0;
  const value = args[(offset - 16) >> 3] ?? 0n;
  return Number((offset % 8 === 0 ? value : value >> 32n) & 0xffffffffn);
}
