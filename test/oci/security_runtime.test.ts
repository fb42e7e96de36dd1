/**
 * Attacks on the runtime itself from within its containers: its executable and what it shows of itself
 * while it starts a process. What each test was seen to fail without stands beside it.
 */

import { describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capabilityNames } from "../../src/capabilities/capabilities.ts";
import { permittedCapabilities } from "../../src/linux/process.ts";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { compileFixture, install } from "../helpers/fixture.ts";
import { type Config, OciRuntime, RUNTIME } from "../helpers/oci_runtime.ts";
import { program, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

/** A copy of the runtime, which may be overwritten. */
function copyOfRuntime(
  name: string,
  program = "mydocker-oci",
): { oci: OciRuntime; hash: () => string } {
  const path = join(engine.directory(name), program);
  copyFileSync(RUNTIME, path);
  chmodSync(path, 0o755);
  const hash = () => new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
  return { oci: new OciRuntime(engine, path), hash };
}

const DOCKER = [
  ...["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID"],
  ...["SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"],
];

/** With Docker's capabilities, and more. */
const withCapabilities =
  (...more: string[]) =>
  (config: Config) => {
    const names = [...DOCKER, ...more].map((name) => `CAP_${name}`);
    config.process.capabilities = { bounding: names, effective: names, permitted: names };
  };

/** Every capability that we have ourselves, as of a privileged container. */
const available = capabilityNames(permittedCapabilities()).map((name) => name.slice(4));

/** Does something so often, four at a time. */
async function often(count: number, act: () => Promise<unknown>): Promise<void> {
  let left = count;
  const worker = async () => {
    while (left-- > 0) await act();
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}

/**
 * A container that watches /proc for what other processes have of the host; `stop` says what it found.
 * @param beside a shell command that runs beside it
 */
async function watch(
  oci: OciRuntime,
  id: string,
  change: (config: Config) => void,
  beside = "true",
) {
  const canary = join(engine.directory("host"), "canary");
  writeFileSync(canary, "");
  const script = `${beside} & exec /proc_watcher ${canary} 120 overwrite`;
  const bundle = oci.bundle(["sh", "-c", script], change);
  for (const name of ["proc_watcher", "swap_command"])
    install(compileFixture(engine, name), bundle, name);
  // What the kernel starts mydocker by, should it be executed in there.
  for (const name of ["lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"])
    install(compileFixture(engine, "sleeper", "-static-pie"), bundle, name);
  await oci.start(id, bundle);
  const output = () => readFileSync(join(bundle, "output"), "utf8");
  await waitFor("the watcher", () => output().includes("watching"));
  return {
    stop: async () => {
      writeFileSync(join(bundle, "rootfs/stop"), "");
      await waitFor("its report", () => output().includes("done"));
      await oci.remove(id);
      return output().trim().split("\n");
    },
  };
}

/** What a watcher says that saw processes, and nothing of the host's. */
const NOTHING = ["watching", "done 1 1"];

// Seen to fail with SYS_PTRACE, by all that there is to find, with the joining process born in the
// container's pid namespace (mayHide false); the executable also without the trampoline (mayJump false).
describe("a process that joins shows nothing of the host's to one that watches /proc (CVE-2016-9962)", () => {
  for (const [how, change, count] of [
    ["with Docker's capabilities", withCapabilities(), 100],
    ["with CAP_SYS_PTRACE", withCapabilities("SYS_PTRACE"), 500],
    ["with all capabilities", withCapabilities(...available), 100],
  ] as const) {
    testIf(
      [program("gcc")],
      `${how}, in ${count} execs`,
      async () => {
        const { oci, hash } = copyOfRuntime(`join-${count}`);
        const before = hash();
        const { stop } = await watch(oci, "watched", change);
        await often(count, async () => {
          const call = oci.call(["exec", "watched", "true"], { env: { CANARY: "1" } });
          expect(await call).toMatchObject({ exitCode: 0, err: "" });
        });
        expect(await stop()).toEqual(NOTHING);
        expect(hash()).toBe(before);
      },
      120_000,
    );
  }
});

// Seen to fail without the second try in exec.ts (startIn), and with canTrace false.
test("in a container that is full exec works, but not in sight of CAP_SYS_PTRACE", async () => {
  const oci = new OciRuntime(engine);
  for (const [id, change, exitCode] of [
    ["full", withCapabilities(), 0],
    ["traced", withCapabilities("SYS_PTRACE"), 255],
  ] as const) {
    const bundle = oci.bundle(["sleep", "100"], (config) => {
      change(config);
      config.linux.resources.pids = { limit: 1 };
    });
    await oci.start(id, bundle);
    expect((await oci.call(["exec", id, "true"])).exitCode).toBe(exitCode);
    await oci.remove(id);
  }
});

// Seen to fail without the trampoline (mayJump false): the watcher got hold of the executable in the
// first hundred execs, and overwrote it.
testIf(
  [program("gcc")],
  "a command that is swapped for /proc/self/exe gives nobody the runtime's executable (CVE-2019-5736)",
  async () => {
    const { oci, hash } = copyOfRuntime("swap");
    const before = hash();
    const swapper = "/swap_command /tmp/true /bin/busybox";
    const { stop } = await watch(oci, "swap", withCapabilities(), swapper);
    let ran = 0;
    await often(100, async () => {
      const { exitCode } = await oci.call(["exec", "swap", "/tmp/true"]);
      if (exitCode === 0) ran++;
    });
    expect(ran).toBeGreaterThan(5);
    expect(ran).toBeLessThan(100);
    expect(await stop()).toEqual(NOTHING);
    expect(hash()).toBe(before);
  },
  120_000,
);

/** Files that lead to /proc/self/exe, in a folder. @returns the folder */
function leadingToUs(): string {
  const folder = engine.directory("leading");
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o755);
  };
  write("script", "#!/proc/self/exe\n");
  write("script2", "#!/x/script\n");
  write("script3", "#!/x/script2 argument\n");
  const linker = "-Wl,--dynamic-linker=/proc/self/exe";
  copyFileSync(compileFixture(engine, "sleeper", linker), join(folder, "elf"));
  return folder;
}

const LEADING = ["/proc/self/exe", "/x/script", "/x/script2", "/x/script3", "/x/elf"];

// Seen to fail without the trampoline (mayJump false), by script2 and script3; the others are named.
testIf(
  [program("gcc")],
  "what leads to /proc/self/exe by scripts or its ELF interpreter executes nothing of ours (CVE-2019-5736)",
  async () => {
    const { oci, hash } = copyOfRuntime("leading-oci");
    const before = hash();
    const folder = leadingToUs();
    const { stop } = await watch(oci, "leads", (config) => {
      withCapabilities()(config);
      const options = ["bind", "ro"];
      config.mounts.push({ destination: "/x", type: "bind", source: folder, options });
    });
    for (const command of LEADING) {
      for (let round = 0; round < 5; round++) {
        const { exitCode, out } = await oci.call(["exec", "leads", command, "--version"]);
        expect({ command, out }).toEqual({ command, out: "" });
        expect([127, 255]).toContain(exitCode as number); // by the trampoline, or refused before
      }
    }
    expect(await stop()).toEqual(NOTHING);
    expect(hash()).toBe(before);
  },
  60_000,
);

testIf(
  [program("gcc")],
  "the same of run, privileged or not",
  async () => {
    const { oci, hash } = copyOfRuntime("leading-run", "mydocker");
    const before = hash();
    const folder = leadingToUs();
    for (const command of LEADING) {
      for (const options of [[], ["--privileged"], ["--init"], ["--cap-add", "SYS_PTRACE"]]) {
        const args = [...options, "-v", `${folder}:/x:ro`, "busybox", command, "version"];
        const { exitCode, out } = await engine.exec([oci.runtime, "run", "--rm", ...args], {});
        expect({ command, options, out, exitCode }).toEqual({
          ...{ command, options, out: "" },
          exitCode: /script[23]/.test(command) ? 127 : 126,
        });
      }
    }
    expect(hash()).toBe(before);
  },
  60_000,
);

// Seen to fail without PR_SET_DUMPABLE, in launch.ts and init.ts: right before execve(2) init has no more
// capabilities than the other container's processes.
testIf(
  [program("gcc")],
  "containers that start show nothing of mydocker's to one with --pid host",
  async () => {
    const canary = join(engine.directory("host"), "canary");
    writeFileSync(canary, "");
    const watcher = `${compileFixture(engine, "proc_watcher")}:/watcher:ro`;
    const options = ["--pid", "host", "-v", watcher, "busybox", "/watcher", canary, "5"];
    const watching = engine.run(options);
    await often(100, () => engine.run(["busybox", "true"], { env: { CANARY: "1" } }));
    const lines = (await watching).out.split("\n");
    // It may look at other containers' processes that run already, and there may be some on this machine.
    expect(lines.filter((line) => !line.startsWith("descriptor"))).toEqual(NOTHING);
  },
  60_000,
);

leavesNothingBehind(engine);
