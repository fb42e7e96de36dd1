/**
 * A virtual machine with Debian's kernel, for what this machine's kernel has not, such as cgroup v2
 * alone. Made of the packages' own files: a kernel, an initramfs with the modules for a disk, and a
 * disk with busybox, the executable under test and what it links to. Without KVM it takes about ten
 * seconds to start.
 */

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { EXECUTABLE } from "./cli.ts";
import { program, type Requirement } from "./requires.ts";

const CACHE = resolve(import.meta.dir, "../../node_modules/.cache/mydocker/vm");

/** What the machine starts with. */
export interface VmOptions {
  /** Run by sh as root; what it writes is the result. The cgroup2 file system is at /sys/fs/cgroup. */
  readonly script: string;
  /** Kernel modules by name, with what they depend on. */
  readonly modules?: readonly string[];
  /** further arguments of the kernel's command line */
  readonly kernelArguments?: string;
  /** path in the machine to a file or directory here */
  readonly files?: Readonly<Record<string, string>>;
  /** milliseconds */
  readonly timeout?: number;
}

/** How the script ended, and what it wrote, standard error included. */
export interface VmResult {
  readonly exitCode: number;
  readonly out: string;
}

/** What a virtual machine needs. */
export function vm(): Requirement[] {
  if (process.arch !== "x64") return ["not x86-64"];
  return ["qemu-system-x86_64", "apt-get", "dpkg-deb", "mke2fs", "busybox"].map(program);
}

/** Runs a script in a virtual machine of its own, which is gone afterwards. */
export async function runInVm(options: VmOptions): Promise<VmResult> {
  const kernel = await debianKernel();
  const folder = mkdtempSync(join(tmpdir(), "mydocker-vm-"));
  try {
    const disk = makeDisk(folder, options);
    const initramfs = join(folder, "initramfs");
    writeFileSync(initramfs, makeInitramfs(kernel, options.modules ?? []));
    const machine = Bun.spawn(
      [
        "qemu-system-x86_64",
        ...[
          "-nodefaults",
          "-display",
          "none",
          "-no-reboot",
          "-cpu",
          "max",
          "-smp",
          "2",
          "-m",
          "1024",
        ],
        ...["-serial", "stdio", "-kernel", kernel.image, "-initrd", initramfs],
        ...["-drive", `file=${disk},if=virtio,format=raw,cache=unsafe`],
        "-append",
        `console=ttyS0 quiet loglevel=3 panic=-1 ${options.kernelArguments ?? ""}`,
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: options.timeout ?? 240_000 },
    );
    const [console, errors] = await Promise.all([
      new Response(machine.stdout).text(),
      new Response(machine.stderr).text(),
    ]);
    const text = console.replaceAll("\r", "");
    const [, out, code] = /^@@begin\n([\s\S]*?)\n?@@end (\d+)$/m.exec(text) ?? [];
    if (out === undefined) throw new Error(`the virtual machine ended early: ${text}${errors}`);
    return { exitCode: Number(code), out };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const ROOT = resolve(import.meta.dir, "../..");

/**
 * Runs test files of `test/integration`, each by a bun of its own, in a virtual machine.
 * @param files patterns of the tests to run by the file's name without `.test.ts`; empty: all
 */
export async function runTestsInVm(
  files: Readonly<Record<string, string>>,
  options: Omit<VmOptions, "script" | "files">,
): Promise<VmResult> {
  const sources = ["src", "test", "package.json", "tsconfig.json", "bunfig.toml"];
  const packages = ["node_modules/consola", "node_modules/citty"];
  const script = [
    "cd /repository; status=0",
    "export MYDOCKER_EXE=/bin/mydocker NO_COLOR=1",
    ...Object.entries(files).map(
      ([name, pattern]) =>
        `bun test --timeout 60000 -t '${pattern}' test/integration/${name}.test.ts || status=1`,
    ),
    "exit $status",
  ].join("\n");
  const repository = [...sources, ...packages].map(
    (path) => [`/repository/${path}`, realpathSync(join(ROOT, path))] as const,
  );
  return runInVm({
    ...options,
    script,
    files: { ...Object.fromEntries(repository), "/bin/bun": process.execPath },
  });
}

interface Kernel {
  readonly image: string;
  /** path of each module file by the module's name */
  readonly modules: ReadonlyMap<string, string>;
}

/** Debian's kernel for virtual machines, unpacked from its package once. */
async function debianKernel(): Promise<Kernel> {
  const folder = join(CACHE, "kernel");
  if (!existsSync(folder)) {
    mkdirSync(CACHE, { recursive: true });
    const scratch = mkdtempSync(join(CACHE, "new-"));
    try {
      const about = output(["apt-cache", "depends", "linux-image-cloud-amd64"], scratch);
      const name = /Depends: (linux-image-\S+)/.exec(about)?.[1];
      if (name === undefined) throw new Error("apt knows no linux-image-cloud-amd64");
      output(["apt-get", "--quiet", "--quiet", "download", name], scratch);
      const [file = ""] = readdirSync(scratch).filter((each) => each.endsWith(".deb"));
      output(["dpkg-deb", "--extract", file, "unpacked"], scratch);
      renameSync(join(scratch, "unpacked"), folder);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  const image = readdirSync(join(folder, "boot")).find((name) => name.startsWith("vmlinuz-"));
  const modules = new Map<string, string>();
  const lib = join(folder, existsSync(join(folder, "lib/modules")) ? "lib" : "usr/lib", "modules");
  for (const path of new Bun.Glob("**/*.ko").scanSync({ cwd: lib }))
    modules.set(moduleName(basename(path, ".ko")), join(lib, path));
  return { image: join(folder, "boot", image ?? ""), modules };
}

const moduleName = (name: string): string => name.replaceAll("-", "_");

/** The modules in the order in which they can be loaded, each after what it says that it depends on. */
function loadOrder(kernel: Kernel, names: readonly string[]): string[] {
  const order = new Set<string>();
  const visit = (name: string) => {
    const path = kernel.modules.get(moduleName(name));
    if (path === undefined) return; // built in
    const text = readFileSync(path, "latin1");
    // .modinfo is a list of NUL-terminated "key=value".
    const depends = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? "";
    for (const each of depends.split(",").filter(Boolean)) visit(each);
    order.add(path);
  };
  for (const name of names) visit(name);
  return [...order];
}

/** Loads the modules, and goes on from the disk. */
function makeInitramfs(kernel: Kernel, names: readonly string[]): Uint8Array {
  const modules = loadOrder(kernel, ["virtio_pci", "virtio_blk", ...names]);
  const init = [
    "#!/bin/busybox sh",
    "/bin/busybox mount -t devtmpfs dev /dev",
    ...modules.map((_, index) => `/bin/busybox insmod /${index}.ko`),
    "until /bin/busybox mount -t ext4 /dev/vda /disk 2>/dev/null; do /bin/busybox sleep 0.1; done",
    "exec /bin/busybox switch_root /disk /init",
  ].join("\n");
  return cpio([
    ...["bin", "dev", "disk"].map((name) => ({ name, mode: 0o40755, content: new Uint8Array(0) })),
    { name: "bin/busybox", mode: 0o100755, content: readFileSync(Bun.which("busybox") as string) },
    { name: "init", mode: 0o100755, content: new TextEncoder().encode(`${init}\n`) },
    ...modules.map((path, index) => {
      return { name: `${index}.ko`, mode: 0o100644, content: readFileSync(path) };
    }),
  ]);
}

interface ArchiveEntry {
  readonly name: string;
  readonly mode: number;
  readonly content: Uint8Array;
}

/** An archive in the kernel's format (Documentation/driver-api/early-userspace/buffer-format.rst). */
function cpio(entries: readonly ArchiveEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const padded = (bytes: Uint8Array) => {
    parts.push(bytes, new Uint8Array((4 - (bytes.length % 4)) % 4));
  };
  const end = { name: "TRAILER!!!", mode: 0, content: new Uint8Array(0) };
  [...entries, end].forEach(({ name, mode, content }, index) => {
    const fields = [index + 1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
    const header = fields.map((value) => value.toString(16).padStart(8, "0")).join("");
    padded(new TextEncoder().encode(`070701${header}${name}\0`));
    padded(content);
  });
  return Buffer.concat(parts);
}

/** An ext4 file system with all that the script needs. */
function makeDisk(folder: string, { script, files = {} }: VmOptions): string {
  const root = join(folder, "root");
  for (const name of ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "var", "run"])
    mkdirSync(join(root, name), { recursive: true });
  const place = (from: string, to: string) => {
    mkdirSync(join(root, dirname(to)), { recursive: true });
    cpSync(from, join(root, to), { recursive: true, dereference: true });
  };
  place(Bun.which("busybox") as string, "/bin/busybox");
  for (const applet of output(["busybox", "--list"], folder).trim().split("\n"))
    if (applet !== "busybox") symlinkSync("busybox", join(root, "bin", applet));
  place(EXECUTABLE, "/bin/mydocker");
  const libraries = output(["ldd", EXECUTABLE], folder).matchAll(/(?:=> )?(\/\S+) \(0x/g);
  for (const [, path] of libraries) if (path !== undefined) place(path, path);
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(root, "etc/resolv.conf"), "");
  for (const [to, from] of Object.entries(files)) place(from, to);
  writeFileSync(join(root, "script"), script);
  writeFileSync(join(root, "init"), INIT, { mode: 0o755 });
  const disk = join(folder, "disk");
  const quiet = ["-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1"];
  output(["mke2fs", ...quiet, "-d", root, disk, "1G"], folder);
  rmSync(root, { recursive: true });
  return disk;
}

const INIT = `#!/bin/sh
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
echo
echo @@begin
sh /script </dev/null 2>&1
code=$?
echo
echo "@@end $code"
sync
reboot -f
`;

function output(command: readonly string[], cwd: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { cwd });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stdout}${stderr}`);
  return stdout.toString();
}
