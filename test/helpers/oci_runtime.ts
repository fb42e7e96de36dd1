/** Bundles of the OCI runtime, and the runtime called on them with a `--root` of its own. */

import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CallOptions, type Engine, EXECUTABLE, type Result } from "./cli.ts";

/** A config.json, as far as tests look into it. */
// biome-ignore lint/suspicious/noExplicitAny: a document that tests change at will
export type Config = any;

/** The runtime under test: the executable by its other name. */
export const RUNTIME = join(dirname(EXECUTABLE), "mydocker-oci");

/** What `/bin` of a bundle's root has. */
const APPLETS = [
  ...["sh", "cat", "echo", "id", "sleep", "true", "false", "ls", "mount", "readlink", "grep"],
  ...[
    "hostname",
    "stat",
    "touch",
    "mkdir",
    "kill",
    "ps",
    "tty",
    "stty",
    "env",
    "sed",
    "head",
    "tr",
  ],
  ...[
    "ip",
    "pwd",
    "chmod",
    "rm",
    "nice",
    "ionice",
    "taskset",
    "sysctl",
    "mknod",
    "wc",
    "date",
    "cut",
  ],
];

/** Made so far, by whatever runtime: names are not used twice. */
let bundles = 0;

/** The runtime with its own root, and bundles beside it. */
export class OciRuntime {
  readonly root: string;

  /** @param runtime the program; another one to compare with */
  constructor(
    readonly engine: Engine,
    readonly runtime: string = RUNTIME,
  ) {
    this.root = join(engine.directory("oci"), `root-${runtime.replaceAll("/", "_")}`);
  }

  /** A bundle with a busybox root file system. @param change of the configuration */
  bundle(args: readonly string[], change: (config: Config) => void = () => undefined): string {
    const bundle = this.engine.directory(`bundle-${bundles++}`);
    makeRoot(join(bundle, "rootfs"), this.#busybox());
    const config = baseConfig(args);
    change(config);
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
    return bundle;
  }

  /** The default image's, which is linked statically. */
  #busybox(): string {
    const path = join(this.engine.directory("busybox"), "busybox");
    if (existsSync(path)) return path;
    const { stdout } = Bun.spawnSync(
      [EXECUTABLE, "run", "--rm", "--network=none", "busybox", "cat", "/bin/busybox"],
      { env: { ...this.engine.env } },
    );
    writeFileSync(path, stdout, { mode: 0o755 });
    return path;
  }

  /** `mydocker-oci --root … ARGS…` to its end. */
  call(args: readonly string[], options: CallOptions = {}): Promise<Result> {
    return this.engine.exec([this.runtime, "--root", this.root, ...args], options);
  }

  /**
   * Creates a container. What it writes to both its streams is in `BUNDLE/output`.
   * @param options of `create`
   */
  create(id: string, bundle: string, ...options: string[]): Promise<Result> {
    return this.#detached(["create", "--bundle", bundle, ...options, id], join(bundle, "output"));
  }

  /** `run --detach`, as {@link create}. */
  runDetached(id: string, bundle: string, ...options: string[]): Promise<Result> {
    return this.#detached(
      ["run", "-d", "--bundle", bundle, ...options, id],
      join(bundle, "output"),
    );
  }

  /** Only the command's own streams are ours: those that it passes on are a file. */
  #detached(args: readonly string[], output: string): Promise<Result> {
    const log = join(this.engine.folder, "log.json");
    rmSync(log, { force: true });
    const script = `"$@" </dev/null >"${output}" 2>&1 || { cat "${log}" >&2; exit 1; }`;
    const command = [
      this.runtime,
      "--root",
      this.root,
      "--log",
      log,
      "--log-format",
      "json",
      ...args,
    ];
    return this.engine.bash(script, { args: command });
  }

  /** Creates and starts a bundle's container. */
  async start(id: string, bundle: string): Promise<void> {
    for (const result of [await this.create(id, bundle), await this.call(["start", id])]) {
      if (result.exitCode !== 0) throw new Error(result.err);
    }
  }

  /** Runs a command in a container of its own to the end. */
  async run(
    args: readonly string[],
    change?: (config: Config) => void,
    options: CallOptions = {},
  ): Promise<Result> {
    const bundle = this.bundle(args, change);
    return await this.call(["run", "--bundle", bundle, `run-${bundles}`], options);
  }

  /** Runs a shell script in a container of its own to the end. */
  sh(script: string, change?: (config: Config) => void): Promise<Result> {
    return this.run(["sh", "-c", script], change);
  }

  async state(id: string): Promise<Config> {
    const { out, err, exitCode } = await this.call(["state", id]);
    if (exitCode !== 0) throw new Error(err);
    return JSON.parse(out);
  }

  /** Removes a container whatever it does. */
  async remove(id: string): Promise<void> {
    await this.call(["delete", "--force", id]);
  }
}

function makeRoot(rootfs: string, busybox: string): void {
  for (const name of ["bin", "etc", "proc", "sys", "dev", "tmp", "root"]) {
    mkdirSync(join(rootfs, name), { recursive: true });
  }
  copyFileSync(busybox, join(rootfs, "bin/busybox"));
  for (const applet of APPLETS) symlinkSync("busybox", join(rootfs, "bin", applet));
  writeFileSync(
    join(rootfs, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n",
  );
  writeFileSync(join(rootfs, "etc/group"), "root:x:0:\nann:x:1000:\n");
}

const CAPABILITIES = [
  "CAP_AUDIT_WRITE",
  "CAP_KILL",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_CHOWN",
];

/** What `runc spec` writes, less the terminal. */
export function baseConfig(args: readonly string[]): Config {
  const mount = (destination: string, type: string, source: string, options: string[]) => ({
    destination,
    type,
    source,
    options,
  });
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args,
      env: ["PATH=/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: false },
    hostname: "oci",
    mounts: [
      mount("/proc", "proc", "proc", []),
      mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
      mount("/dev/pts", "devpts", "devpts", [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        "gid=5",
      ]),
      mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
      mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
      mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
      mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ],
    linux: {
      cgroupsPath: `/mydocker-test-${process.pid}-${Math.random().toString(36).slice(2)}`,
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type })),
      maskedPaths: ["/proc/kcore", "/proc/keys", "/sys/firmware"],
      readonlyPaths: ["/proc/bus", "/proc/sys"],
    },
  };
}
