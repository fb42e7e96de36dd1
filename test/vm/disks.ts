/** The disks of the virtual machine: Debian with systemd, made once, and what one run needs. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { findMirror, output, proxy } from "../helpers/debian.ts";
import type { Kernel } from "./kernel.ts";

/** What the machine has beyond Debian's smallest. */
const PACKAGES = [
  ...["systemd-sysv", "dbus", "udev", "kmod", "iproute2", "nftables"],
  ...["strace", "procps", "busybox-static", "e2fsprogs", "zstd"],
];

/** Changes with what is done to the system below. */
const VERSION = 1;

/** Runs what was brought, as a service that systemd starts early, and switches the machine off. */
const SERVICE = `[Unit]
Description=What was brought to be run
After=basic.target dbus.socket
Requires=basic.target

[Service]
Type=oneshot
Environment=HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/payload/start
ExecStopPost=/bin/systemctl --force --force poweroff
StandardInput=tty-force
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TTYReset=no
`;

/** Of no use here, and slow when a machine is emulated. */
const MASKED = [
  ...["systemd-timesyncd.service", "systemd-update-utmp.service", "systemd-journal-flush.service"],
  ...["getty.target", "serial-getty@ttyS0.service", "systemd-pcrphase.service", "timers.target"],
  ...[
    "systemd-binfmt.service",
    "systemd-update-done.service",
    "ldconfig.service",
    "remote-fs.target",
  ],
];

/** A raw disk image with Debian and systemd. Nothing may write to it. */
export function systemDisk(cache: string): string {
  const { suite, uri } = findMirror();
  const image = join(cache, `system-${suite}-${VERSION}.ext4`);
  if (existsSync(image)) return image;
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, "new-"));
  try {
    const root = join(scratch, "root");
    const include = `--include=${PACKAGES.join(",")}`;
    output(["debootstrap", "--variant=minbase", include, suite, root, uri], proxy());
    const units = join(root, "etc/systemd/system");
    writeFileSync(join(units, "payload.service"), SERVICE);
    for (const name of MASKED) {
      rmSync(join(units, name), { force: true });
      symlinkSync("/dev/null", join(units, name));
    }
    for (const path of ["payload", "usr/lib/modules"])
      mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, "etc/hostname"), "vm\n");
    writeFileSync(join(root, "etc/fstab"), "");
    writeFileSync(join(root, "etc/machine-id"), "0123456789abcdef0123456789abcdef\n");
    for (const path of [
      "var/cache/apt/archives",
      "var/lib/apt/lists",
      "usr/share/doc",
      "usr/share/locale",
    ])
      rmSync(join(root, path), { recursive: true, force: true });
    makeFileSystem(join(scratch, "image"), root, "1G");
    renameSync(join(scratch, "image"), image);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return image;
}

/** What the machine finds at /payload. */
export interface Payload {
  /** Run as root, on the serial line. */
  readonly script: string;
  /** path below /payload to a file or directory here */
  readonly files: Readonly<Record<string, string>>;
}

/** A raw disk image for one run. */
export function payloadDisk(folder: string, kernel: Kernel, { script, files }: Payload): string {
  const root = join(folder, "payload");
  const place = (from: string, to: string) => {
    mkdirSync(join(root, dirname(to)), { recursive: true });
    cpSync(from, join(root, to), { recursive: true, dereference: true });
  };
  place(join(kernel.folder, "lib/modules"), "modules");
  place(kernel.config, `modules/${kernel.release}/config`);
  for (const [to, from] of Object.entries(files)) place(from, to);
  writeFileSync(join(root, "start"), script, { mode: 0o755 });
  const image = join(folder, "payload.ext4");
  makeFileSystem(image, root, "1G");
  rmSync(root, { recursive: true });
  return image;
}

function makeFileSystem(image: string, root: string, size: string): void {
  const quiet = ["-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1"];
  output(["mke2fs", ...quiet, "-d", root, image, size]);
}
