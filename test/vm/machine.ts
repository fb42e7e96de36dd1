/** A virtual machine with Debian's kernel and systemd, under QEMU without KVM. */
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { program, type Requirement } from "../helpers/requires.ts";
import { type Payload, payloadDisk, systemDisk } from "./disks.ts";
import { debianKernel, type KernelChoice, makeInitramfs } from "./kernel.ts";

const CACHE = resolve(import.meta.dir, "../../node_modules/.cache/mydocker/vm");

/** What a machine is started for. */
export interface MachineOptions extends Payload {
  readonly kernel: KernelChoice;
  /** The serial line is the terminal that we are called from; else it is only copied to it. */
  readonly interactive: boolean;
  /** milliseconds */
  readonly timeout: number;
}

/** What a virtual machine takes; empty when it is all there. */
export function missing(): string[] {
  const needs: Requirement[] =
    process.arch === "x64"
      ? [
          "qemu-system-x86_64",
          "apt-get",
          "dpkg-deb",
          "debootstrap",
          "depmod",
          "mke2fs",
          "busybox",
        ].map(program)
      : ["not x86-64"];
  return needs.filter((need) => need !== undefined);
}

/** Bytes of each disk beside the system's and the payload: /dev/vdc and /dev/vdd. */
const SPARE = 64 * 2 ** 20;

/**
 * Starts a machine, and waits until it has switched itself off.
 * @returns what was written to /dev/ttyS1
 * @throws when it runs for too long
 */
export async function runMachine(options: MachineOptions): Promise<string> {
  const kernel = debianKernel(options.kernel, CACHE);
  const system = systemDisk(CACHE);
  const folder = mkdtempSync(join(tmpdir(), "mydocker-vm-"));
  try {
    const [initramfs, results] = [join(folder, "initramfs"), join(folder, "results")];
    writeFileSync(initramfs, makeInitramfs(kernel));
    const payload = payloadDisk(folder, kernel, options);
    const spare = ["c", "d"].map((letter) => emptyFile(join(folder, letter)));
    const disk = (file: string, more = "") => [
      "-drive",
      `file=${file},if=virtio,format=raw,cache=unsafe${more}`,
    ];
    const machine = Bun.spawn(
      [
        ...["setpriv", "--pdeathsig", "KILL"], // it ends with us
        "qemu-system-x86_64",
        ...["-nodefaults", "-display", "none", "-no-reboot"],
        // AVX2, which the executable takes; without cmpxchg16b, which QEMU 7.2 does wrongly.
        ...[
          "-cpu",
          "Haswell-noTSX,-cx16,-tsc-deadline,-invpcid,-pcid,-x2apic",
          "-smp",
          "2",
          "-m",
          "1536",
        ],
        ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
        ...["-serial", `file:${results}`, "-kernel", kernel.image, "-initrd", initramfs],
        ...disk(system, ",snapshot=on"),
        ...disk(payload),
        ...spare.flatMap((file) => disk(file)),
        "-append",
        [
          "console=ttyS0 quiet loglevel=3 panic=-1 root=/dev/vda rw mitigations=off",
          "systemd.unit=payload.service systemd.show_status=no systemd.log_level=warning",
          "systemd.unified_cgroup_hierarchy=1 TERM=dumb",
        ].join(" "),
      ],
      {
        stdin: options.interactive ? "inherit" : "ignore",
        stdout: "inherit",
        stderr: "inherit",
        timeout: options.timeout,
        killSignal: "SIGKILL",
      },
    );
    await machine.exited;
    const text = readFileSync(results, "latin1").replaceAll("\r", "");
    if (machine.signalCode !== null)
      return `${text}\n@@ the machine was ended after ${options.timeout / 1000} s\n`;
    return text;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function emptyFile(path: string): string {
  const fd = openSync(path, "w");
  ftruncateSync(fd, SPARE);
  closeSync(fd);
  return path;
}
