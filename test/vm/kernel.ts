/** Debian's kernel for virtual machines, unpacked from its package once, and its first file system. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { findMirror, output } from "../helpers/debian.ts";
import { type ArchiveEntry, cpio } from "./cpio.ts";

/** The release's own, or the newer one of its backports. */
export type KernelChoice = "stable" | "backports";

/** A kernel's files. */
export interface Kernel {
  readonly release: string;
  readonly image: string;
  /** a directory with lib/modules as modprobe(8) wants it */
  readonly folder: string;
  readonly config: string;
}

const PACKAGE = "linux-image-cloud-amd64";

/** The kernel, downloaded by apt the first time. */
export function debianKernel(choice: KernelChoice, cache: string): Kernel {
  const folder = join(cache, `kernel-${choice}`);
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true });
    const scratch = mkdtempSync(join(cache, "new-"));
    try {
      const apt = choice === "backports" ? withBackports(scratch) : [];
      const about = output(["apt-cache", ...apt, "depends", PACKAGE]);
      const name = /Depends: (linux-image-\S+)/.exec(about)?.[1];
      if (name === undefined) throw new Error(`apt knows no ${PACKAGE}`);
      output(["sh", "-c", 'cd "$0" && exec apt-get -qq "$@"', scratch, ...apt, "download", name]);
      const [file = ""] = readdirSync(scratch).filter((each) => each.endsWith(".deb"));
      output(["dpkg-deb", "--extract", join(scratch, file), join(scratch, "unpacked")]);
      const release = releaseIn(join(scratch, "unpacked"));
      output(["depmod", "-b", join(scratch, "unpacked"), release]);
      renameSync(join(scratch, "unpacked"), folder);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  const release = releaseIn(folder);
  return {
    release,
    folder,
    image: join(folder, "boot", `vmlinuz-${release}`),
    config: join(folder, "boot", `config-${release}`),
  };
}

function releaseIn(folder: string): string {
  const name = readdirSync(join(folder, "boot")).find((each) => each.startsWith("vmlinuz-"));
  if (name === undefined) throw new Error(`no kernel in ${folder}`);
  return name.slice("vmlinuz-".length);
}

/** Options for an apt that knows the backports alone, and touches nothing of the machine's. */
function withBackports(scratch: string): string[] {
  const { suite, uri } = findMirror();
  const list = join(scratch, "sources.list");
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  writeFileSync(list, `deb [signed-by=${keyring}] ${uri} ${suite}-backports main\n`);
  for (const part of ["lists/partial", "archives/partial"])
    mkdirSync(join(scratch, part), { recursive: true });
  const options = [
    `Dir::Etc::SourceList=${list}`,
    "Dir::Etc::SourceParts=/dev/null",
    `Dir::State::Lists=${join(scratch, "lists")}`,
    `Dir::Cache=${scratch}`,
    "APT::Default-Release=",
  ].flatMap((option) => ["-o", option]);
  output(["apt-get", "-qq", ...options, "update"]);
  return options;
}

const moduleName = (name: string): string => name.replaceAll("-", "_");

/** The modules, uncompressed, in the order in which they can be loaded: each after what it depends on. */
function modulesInOrder({ folder }: Kernel, names: readonly string[]): Uint8Array[] {
  const files = new Map<string, string>();
  for (const path of new Bun.Glob("**/*.ko{,.xz}").scanSync({ cwd: join(folder, "lib/modules") }))
    files.set(moduleName(basename(path).split(".")[0] ?? ""), join(folder, "lib/modules", path));
  const order = new Map<string, Uint8Array>();
  const visit = (name: string) => {
    const path = files.get(moduleName(name));
    if (path === undefined || order.has(path)) return; // built in, or there already
    const content = path.endsWith(".xz") ? unpacked(path) : readFileSync(path);
    // .modinfo is a list of NUL-terminated "key=value".
    const [, depends = ""] = /\0depends=([^\0]*)\0/.exec(content.toString("latin1")) ?? [];
    for (const each of depends.split(",").filter(Boolean)) visit(each);
    order.set(path, content);
  };
  for (const name of names) visit(name);
  return [...order.values()];
}

function unpacked(path: string): Buffer {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["xz", "--decompress", "--stdout", path]);
  if (exitCode !== 0) throw new Error(`xz ${path}: ${stderr}`);
  return stdout;
}

/** Mounts the disks and goes on from the first one; the second is at /payload there. */
export function makeInitramfs(kernel: Kernel): Uint8Array {
  const modules = modulesInOrder(kernel, ["virtio_pci", "virtio_blk", "ext4"]);
  const init = [
    "#!/bin/busybox sh",
    "b=/bin/busybox",
    "$b mount -t devtmpfs dev /dev",
    ...modules.map((_, index) => `$b insmod /${index}.ko`),
    "until $b mount -t ext4 /dev/vda /disk 2>/dev/null; do $b sleep 0.1; done",
    "$b mount -t ext4 /dev/vdb /disk/payload",
    "$b mount -o bind /disk/payload/modules /disk/usr/lib/modules",
    "exec $b switch_root /disk /sbin/init",
    "",
  ].join("\n");
  const empty = new Uint8Array(0);
  const entries: ArchiveEntry[] = [
    ...["bin", "dev", "disk"].map((name) => ({ name, mode: 0o40755, content: empty })),
    { name: "bin/busybox", mode: 0o100755, content: readFileSync(Bun.which("busybox") as string) },
    { name: "init", mode: 0o100755, content: new TextEncoder().encode(init) },
    ...modules.map((content, index) => ({ name: `${index}.ko`, mode: 0o100644, content })),
  ];
  return cpio(entries);
}
