/** `build.ts`: reproducible, for two architectures, loud when it fails; and what its result is. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { elfMachine } from "../../build/elf.ts";
import { Engine, EXECUTABLE } from "../helpers/cli.ts";
import { root, testIf } from "../helpers/requires.ts";

const ROOT = join(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "mydocker-build-"));
const engine = new Engine();
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  engine.remove();
});

/** `bun build.ts ARGS…` in a copy of the sources. */
function build(cwd: string, ...args: string[]): { exitCode: number; text: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, "build.ts", ...args], {
    cwd,
    env: { ...process.env, SOURCE_DATE_EPOCH: "1700000000" },
    timeout: 120_000,
  });
  return { exitCode, text: `${stdout}${stderr}` };
}

/** The sources as they are, in a folder of their own; dependencies and their cache are shared. */
function copySources(name: string): string {
  const copy = join(folder, name);
  mkdirSync(copy);
  for (const entry of readdirSync(ROOT)) {
    if (["node_modules", "dist", ".git"].includes(entry)) continue;
    cpSync(join(ROOT, entry), join(copy, entry), { recursive: true });
  }
  rmSync(join(copy, "src/images/default"), { recursive: true, force: true });
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  return copy;
}

const sha256 = (path: string) =>
  new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");

describe("two builds", () => {
  test("of the same sources, in different folders, are the same to the byte", () => {
    const executables = ["one", "another/deeper"].map((name, index) => {
      mkdirSync(join(folder, `${index}`));
      const copy = copySources(`${index}/sources`);
      const { exitCode, text } = build(copy, "--outdir", join(folder, name));
      expect({ exitCode, text: exitCode === 0 ? "" : text }).toEqual({ exitCode: 0, text: "" });
      return join(folder, name, "mydocker");
    });
    const [one, another] = executables.map(sha256);
    expect(another).toBe(one as string);
    expect(readdirSync(join(folder, "one")).sort()).toEqual(["mydocker", "mydocker-oci"]);
  }, 240_000);
});

test("a build for arm64 is an executable for arm64", () => {
  const outdir = join(folder, "arm64");
  const { exitCode, text } = build(ROOT, "--target", "arm64", "--outdir", outdir);
  expect({ exitCode, text: exitCode === 0 ? "" : text }).toEqual({ exitCode: 0, text: "" });
  expect(elfMachine(readFileSync(join(outdir, "mydocker")).subarray(0, 64))).toBe(183);
}, 240_000);

describe("a build fails loudly, and leaves the last good executable,", () => {
  const outdir = join(folder, "kept");
  const entry = join(folder, "entry.ts");
  const buildEntry = (source: string) => {
    writeFileSync(entry, source);
    return build(ROOT, "--entry", entry, "--outdir", outdir);
  };

  beforeAll(() => {
    const { exitCode, text } = buildEntry('console.log("fine");');
    expect({ exitCode, text: exitCode === 0 ? "" : text }).toEqual({ exitCode: 0, text: "" });
  });

  test.each([
    ["does not parse", "const = ;", "bun could not build it"],
    ["imports what is not there", 'import "./not-there.ts";', "bun could not build it"],
    ["throws at start", 'throw new Error("broken at start");', "broken at start"],
    ["exits with an error", "process.exit(3);", "exit code 3"],
    ["is killed", 'process.kill(process.pid, "SIGKILL");', "SIGKILL"],
  ])("when the program %s", (_, source, message) => {
    const before = sha256(join(outdir, "mydocker"));
    const { exitCode, text } = buildEntry(source);
    expect(exitCode).toBe(1);
    expect(text).toContain("build: ");
    expect(text).toContain(message);
    expect(sha256(join(outdir, "mydocker"))).toBe(before);
    expect(readdirSync(outdir).sort()).toEqual(["mydocker", "mydocker-oci"]);
  });

  test("when the target is unknown", () => {
    const { exitCode, text } = build(ROOT, "--target", "vax", "--outdir", outdir);
    expect(exitCode).toBe(1);
    expect(text).toContain("no such target: vax");
  });
});

describe("the executable", () => {
  const trap = join(folder, "trap");
  const touched = join(folder, "touched");

  beforeAll(() => {
    mkdirSync(trap);
    writeFileSync(
      join(trap, "preload.ts"),
      `require("node:fs").writeFileSync(${JSON.stringify(touched)}, "");`,
    );
    writeFileSync(join(trap, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
    writeFileSync(join(trap, ".env"), "MYDOCKER_ROOT=/nonexistent/from-dot-env\n");
    writeFileSync(join(trap, "tsconfig.json"), '{ "compilerOptions": { "jsx": "nonsense" } }');
    writeFileSync(join(trap, "package.json"), '{ "type": "nonsense"');
  });

  test("loads nothing from the folder that it is called in", async () => {
    const { exitCode, out, err } = await engine.call(
      ["version", "--format", "{{.Client.Version}}"],
      { cwd: trap },
    );
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(out).toMatch(/^\d+\.\d+\.\d+/);
    expect(existsSync(touched)).toBe(false);
  });

  test("the trap is one: bun itself falls into it", () => {
    Bun.spawnSync([process.execPath, "-e", "0"], { cwd: trap, stderr: "ignore", stdout: "ignore" });
    writeFileSync(join(trap, "nothing.ts"), "");
    Bun.spawnSync([process.execPath, "nothing.ts"], {
      cwd: trap,
      stderr: "ignore",
      stdout: "ignore",
    });
    expect(existsSync(touched)).toBe(true);
    rmSync(touched);
  });

  test("starts with an empty environment, from any place and name", () => {
    const copy = join(folder, "copied name");
    cpSync(EXECUTABLE, copy);
    chmodSync(copy, 0o755);
    const { exitCode, stdout, stderr } = Bun.spawnSync([copy, "version"], { env: {}, cwd: "/" });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
    expect(stdout.toString()).toContain("Version:");
  });
});

describe("the default image", () => {
  const shell = async (script: string) => {
    const { out, err, exitCode } = await engine.run(["busybox", "sh", "-c", script]);
    expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
    return out;
  };

  testIf([root()], "has its licence and its version along with it", async () => {
    expect(await shell("cat /usr/share/doc/busybox-static/version")).toMatch(
      /^Package: busybox-static\nVersion: \S+\nArchitecture: \w+/,
    );
    expect(await shell("cat /usr/share/doc/busybox-static/copyright")).toContain("BusyBox");
    expect(await shell("cat /usr/share/common-licenses/GPL-2")).toContain(
      "GNU GENERAL PUBLIC LICENSE",
    );
  });

  testIf([root()], "has a link for every applet, and none that leads nowhere", async () => {
    const linked = (await shell("ls /bin /sbin /usr/bin /usr/sbin")).split("\n");
    const applets = (await shell("busybox --list"))
      .split("\n")
      .filter((name) => name !== "linuxrc");
    expect(applets.length).toBeGreaterThan(200);
    expect(applets.filter((name) => !linked.includes(name))).toEqual([]);
    expect(await shell("find / -xdev -type l ! -exec test -e {} \\; -print")).toBe("");
  });
});
