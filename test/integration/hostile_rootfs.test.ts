/**
 * Root file systems, volumes and configurations that mean ill. Each test says which defence it was
 * seen to fail without.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeBundle, runBundle } from "../helpers/bundle.ts";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { parseMounts } from "../helpers/container_facts.ts";
import { program, testIf } from "../helpers/requires.ts";
import { onTerminal } from "../helpers/terminal.ts";

const engine = useEngine();

/** A root file system with a shell in it. */
async function rootfs(name: string): Promise<string> {
  const path = engine.directory(name);
  await engine.bash(`"$MYDOCKER" run --rm -v '${path}:/out' busybox cp -a /bin /out`);
  return path;
}

async function refused(...args: string[]): Promise<string> {
  const { out, err, exitCode } = await engine.run(args);
  expect({ out, exitCode }).toEqual({ out: "", exitCode: 125 });
  return err;
}

describe("a /proc that is none (CVE-2019-16884, CVE-2023-28642)", () => {
  // Seen to fail with followLinks: true in openTarget of src/rootfs/fresh.ts.
  test.each(["proc", "sys"])("an image in which /%s is a link is refused", async (name) => {
    const root = await rootfs(`link-${name}`);
    mkdirSync(join(root, "fake"));
    symlinkSync("fake", join(root, name));
    expect(await refused("--rootfs", root, "sh", "-c", "echo ran")).toContain(
      `mount on /${name}: /${name} leads through a symbolic link`,
    );
  });

  // Seen to fail with guardProc of src/rootfs/proc_guard.ts returning at once.
  test("a volume does not get onto /proc, or into it, by any path", async () => {
    const root = await rootfs("links-to-proc");
    symlinkSync("/proc", join(root, "direct"));
    symlinkSync("proc/sys", join(root, "deep"));
    symlinkSync("../../proc/self/attr", join(root, "own"));
    const source = engine.directory("fake-proc");
    mkdirSync(join(source, "sys"));
    writeFileSync(join(source, "uptime"), "0 0\n");
    expect(await refused("-v", `${source}:/proc`, "--rootfs", root, "true")).toContain(
      "not of type proc",
    );
    for (const target of ["/direct", "/direct/sys", "/deep", "/deep/kernel", "/own"])
      for (const mount of [`type=bind,src=${source},dst=${target}`, `type=tmpfs,dst=${target}`])
        expect(await refused("--mount", mount, "--rootfs", root, "true")).toContain(
          `${target} cannot be mounted because it is inside /proc`,
        );
  });

  // As above.
  test("neither by config.json", async () => {
    const proc = { destination: "/proc", type: "proc", source: "proc" };
    for (const fake of [
      { destination: "/proc", type: "tmpfs", source: "tmpfs" },
      { destination: "/proc", source: engine.folder, options: ["rbind"] },
      { destination: "/proc/sys", type: "tmpfs", source: "tmpfs" },
    ]) {
      const bundle = await makeBundle(engine, "proc-bundle", {
        args: ["echo", "ran"],
        mounts: [proc, fake],
      });
      const { out, err, exitCode } = await runBundle(engine, bundle);
      expect({ out, ended: exitCode === 0 }).toEqual({ out: "", ended: false });
      expect(err).toMatch(/cannot be mounted because it is (not of type proc|inside \/proc)/);
    }
  });
});

describe("what is written to procfs (CVE-2019-19921, CVE-2025-52881)", () => {
  // Seen to fail with setUpNamespaces called behind enterRoot in src/runtime/init.ts, and without the
  // check for PROC_SUPER_MAGIC in src/linux/procfs.ts.
  test("reaches the kernel, and no file of the image's that has its name", async () => {
    const bundle = await makeBundle(engine, "sysctl-bundle", {
      args: [
        ...["sh", "-c"],
        "cat /proc/sys/net/core/somaxconn /proc/self/oom_score_adj; cat /real/sys/net/core/somaxconn /real/self/oom_score_adj",
      ],
      mounts: [{ destination: "/real", type: "proc", source: "proc" }],
      process: { oomScoreAdj: 77 },
      linux: {
        sysctl: { "net.core.somaxconn": "1234" },
        namespaces: ["pid", "mount", "network"].map((type) => ({ type })),
      },
    });
    for (const [directory, file] of [
      ["sys/net/core", "somaxconn"],
      ["self", "oom_score_adj"],
    ] as const) {
      mkdirSync(join(bundle, "rootfs/proc", directory), { recursive: true });
      writeFileSync(join(bundle, "rootfs/proc", directory, file), "fake\n");
    }
    const { out, err, exitCode } = await runBundle(engine, bundle);
    expect({ out, err, exitCode }).toEqual({ out: "fake\nfake\n1234\n77", err: "", exitCode: 0 });
  });

  // Seen to fail without RESOLVE_NO_XDEV in src/linux/procfs.ts.
  testIf([program("unshare")], "reaches it when something lies on the host's /proc", async () => {
    const fake = engine.directory("covered");
    mkdirSync(join(fake, "sys/net/core"), { recursive: true });
    writeFileSync(join(fake, "sys/net/core/somaxconn"), "fake\n");
    const run = (cover: string) =>
      engine.bash(
        `exec unshare -m bash -ec '
           ${cover}
           exec "$MYDOCKER" run --rm --sysctl net.core.somaxconn=1234 busybox \
             cat /proc/sys/net/core/somaxconn'`,
      );
    const { out, err } = await run(`mount --bind ${fake}/sys/net /proc/sys/net`);
    expect({ out, err }).toEqual({ out: "1234", err: "" });
    expect(readFileSync(join(fake, "sys/net/core/somaxconn"), "utf8")).toBe("fake\n");
  });
});

describe("devices that are not what their names say (CVE-2025-31133, CVE-2025-52565)", () => {
  // Seen to fail without AT_SYMLINK_NOFOLLOW in NodeMaker of src/rootfs/devices.ts.
  test.each([
    ["a link to the host's", (path: string) => symlinkSync("/dev/null", path)],
    ["a file", (path: string) => writeFileSync(path, "secret")],
  ])("a /dev/null of the image that is %s is refused", async (_, make) => {
    const bundle = await makeBundle(engine, "null-bundle", { args: ["echo", "ran"] });
    mkdirSync(join(bundle, "rootfs/dev"), { recursive: true });
    await engine.bash(`rm -f '${bundle}/rootfs/dev/null'`);
    make(join(bundle, "rootfs/dev/null"));
    const { out, err, exitCode } = await runBundle(engine, bundle);
    expect({ out, ended: exitCode === 0 }).toEqual({ out: "", ended: false });
    expect(err).toContain("make /dev/null: something else has that name");
  });

  // Seen to fail with the root's /dev/null instead of the host's in openHostNull of src/rootfs/apply.ts.
  test("a masked path is hidden by the null device, whatever the container's is", async () => {
    const dev = engine.directory("own-dev");
    writeFileSync(join(dev, "null"), "not masked");
    const out = await engine.run([
      ...["-v", `${dev}:/dev`, "busybox", "sh", "-c"],
      "cat /dev/null; echo; stat -c %t:%T /proc/keys /proc/timer_list; cat /proc/keys",
    ]);
    expect(out.err).toBe("");
    expect(out.out).toBe("not masked\n1:3\n1:3");
  });

  // Seen to fail with followLinks: true in openConsole of src/rootfs/console.ts.
  test("a terminal does not cover what /dev/console is a link to", async () => {
    const dev = engine.directory("console-dev");
    symlinkSync("/etc/passwd", join(dev, "console"));
    const args = ["run", "--rm", "-t", "-v", `${dev}:/dev`, "busybox", "cat", "/etc/passwd"];
    const { output, exitCode } = await onTerminal(engine, args).end();
    expect(exitCode).toBe(125);
    expect(output).toContain("open a terminal: /dev/console leads through a symbolic link");
  });

  // Seen to fail with guardProc returning at once: then /proc/sys/kernel was covered.
  test("a /dev/pts that is a link into /proc is refused", async () => {
    const dev = engine.directory("pts-dev");
    symlinkSync("/proc/sys/kernel", join(dev, "pts"));
    const args = ["run", "--rm", "-t", "-v", `${dev}:/dev`, "busybox", "echo", "ran"];
    const { output, exitCode } = await onTerminal(engine, args).end();
    expect(exitCode).toBe(125);
    expect(output).toContain("/dev/pts cannot be mounted because it is inside /proc");
  });
});

describe("a volume in which names are exchanged meanwhile (CVE-2021-30465, CVE-2024-45310)", () => {
  const RUNS = 100; // of each kind
  let swapper: Bun.Subprocess | undefined;
  const canary = engine.directory("canary");
  const volume = engine.directory("volume");
  const source = engine.directory("source");

  beforeAll(() => {
    if (Bun.which("gcc") === null) return;
    writeFileSync(join(source, "file"), "from the source\n");
    mkdirSync(join(volume, "swap"));
    symlinkSync(canary, join(volume, "link"));
    const binary = join(engine.folder, "swapper");
    const text = join(import.meta.dir, "../fixtures/swapper.c");
    Bun.spawnSync(["gcc", "-o", binary, text], { stderr: "inherit" });
    swapper = Bun.spawn([binary, join(volume, "swap"), join(volume, "link")]);
  });
  afterAll(async () => {
    swapper?.kill();
    await swapper?.exited;
  });

  // Seen to fail with paths opened below the root, but without RESOLVE_IN_ROOT, in
  // src/rootfs/safe_path.ts: mounts were not where the container is, and the canary was not empty.
  testIf(
    [program("gcc")],
    "leads no mount and no new file out of the container",
    async () => {
      const ends = { ran: 0, refused: 0 };
      for (let n = 0; n < RUNS * 2; n++) {
        const isFile = n % 2 === 1;
        const target = `/vol/swap/${n}/deep`;
        const from = isFile ? join(source, "file") : source;
        const { out, err, exitCode } = await engine.run([
          ...["-v", `${volume}:/vol`, "-v", `${from}:${target}`],
          ...["busybox", "cat", "/proc/self/mountinfo"],
        ]);
        expect(readdirSync(canary)).toEqual([]);
        if (exitCode === 125) {
          expect(err).toMatch(/^mydocker: mount on [^\n]*$/);
          ends.refused++;
          continue;
        }
        expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
        const mounted = parseMounts(out).filter(({ root }) => root.endsWith(from));
        expect(mounted).toHaveLength(1);
        expect(mounted[0]?.target).toMatch(new RegExp(`/${n}/deep$`));
        ends.ran++;
      }
      expect(ends.ran).toBeGreaterThan(0);
      expect(swapper?.exitCode).toBeNull();
    },
    120_000,
  );
});

leavesNothingBehind(engine);
