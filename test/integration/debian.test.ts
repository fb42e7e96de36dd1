/** A real Debian, made by debootstrap, imported and run. */

import { beforeAll, describe, expect, test } from "bun:test";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { debianTarball } from "../helpers/debian.ts";
import { onTerminal } from "../helpers/terminal.ts";

const engine = useEngine({ before: importDebian });

async function importDebian(): Promise<void> {
  const { exitCode, err } = await engine.call(["import", debianTarball(), "debian"], {
    timeout: 120_000,
  });
  if (exitCode !== 0) throw new Error(err);
}

async function output(...args: string[]): Promise<string> {
  const { out, err, exitCode } = await engine.run(["debian", ...args]);
  expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
  return out;
}

describe("Debian", () => {
  test("is listed as an image", async () => {
    expect(
      (await engine.call(["images", "--format", "{{.Repository}}:{{.Tag}}"])).out.split("\n"),
    ).toContain("debian:latest");
  });

  test("runs apt-get --version", async () => {
    expect(await output("apt-get", "--version")).toMatch(/^apt \d+\.\d+/);
  });

  test("runs dpkg -l, whose packages are all installed", async () => {
    const packages = (await output("dpkg", "-l"))
      .split("\n")
      .filter((line) => line.startsWith("ii "));
    expect(packages.length).toBeGreaterThan(50);
    expect(packages.some((line) => line.startsWith("ii  bash "))).toBe(true);
    expect(await output("dpkg", "--audit")).toBe("");
  });

  test("runs bash -c with everything that bash does", async () => {
    const script =
      'set -o pipefail; declare -A a=([x]=1); echo "${a[x]}" <(true) | tr 0-9 n; cat <<<here; echo $BASHPID; exec 3<>/dev/null; time true 2>/dev/null; printf "%s\\n" {a..c}';
    const { out, exitCode } = await engine.run(["debian", "bash", "-c", script]);
    expect(exitCode).toBe(0);
    expect(out).toBe(
      "n /dev/fd/nn\nhere\n1\na\nb\nc".replace("nn", /fd\/(n+)/.exec(out)?.[1] ?? "?"),
    );
  });

  test("forks 512 processes at once", async () => {
    const { out, exitCode } = await engine.run([
      "debian",
      "bash",
      "-c",
      "for ((i = 0; i < 512; i++)); do sleep 100 & done; ls -d /proc/[0-9]* | wc -l; kill $(jobs -p); wait 2>/dev/null; echo over",
    ]);
    expect(exitCode).toBe(0);
    const [count, over] = out.split("\n");
    expect(Number(count)).toBeGreaterThanOrEqual(513);
    expect(over).toBe("over");
  });

  test("has its own users, owners, modes and set-user-id programs", async () => {
    expect(
      await output("stat", "-c", "%U:%G %a", "/usr/bin/passwd", "/etc/shadow", "/var/mail", "/tmp"),
    ).toBe("root:root 4755\nroot:shadow 640\nroot:mail 2775\nroot:root 1777");
    const { out } = await engine.run(["-u", "www-data", "debian", "bash", "-c", "id; echo $HOME"]);
    expect(out).toBe("uid=33(www-data) gid=33(www-data) groups=33(www-data)\n/var/www");
  });

  test("installs a package file, which the image does not have afterwards", async () => {
    const script =
      "cd /tmp; mkdir -p p/DEBIAN p/opt; printf 'Package: made\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@example.org>\\nDescription: x\\n' >p/DEBIAN/control; echo x >p/opt/file; dpkg-deb -b p >/dev/null && dpkg -i p.deb >/dev/null && dpkg -s made | grep Status && cat /opt/file";
    expect(await output("bash", "-c", script)).toBe("Status: install ok installed\nx");
    expect((await engine.run(["debian", "dpkg", "-s", "made"])).exitCode).toBe(1);
  });

  test("gives programs terminals of their own", async () => {
    expect(await output("script", "-qec", "tty", "/dev/null")).toMatch(/^\/dev\/pts\/\d+\r?$/);
    const session = onTerminal(engine, ["run", "--rm", "-it", "debian", "bash"]);
    await session.waitForOutput(/root@.*# /);
    session.type("stty size; exit 3\r");
    const { exitCode, output: shown } = await session.end();
    expect(exitCode).toBe(3);
    expect(shown).toContain("30 100");
  });

  test("says what a program of the default image cannot do there", async () => {
    const { exitCode, err } = await engine.run(["debian", "busybox"]);
    expect(exitCode).toBe(127);
    expect(err).toContain("busybox");
  });
});

describe("import", () => {
  beforeAll(async () => {
    const { exitCode } = await engine.bash(
      `mkdir -p tree/bin && "$MYDOCKER" run --rm -v "$PWD/tree:/out" busybox cp /bin/busybox /out/bin/sh && tar -C tree -cf small.tar . && gzip -k small.tar && zstd -q small.tar`,
    );
    if (exitCode !== 0) throw new Error("no small root file system");
  });

  test.each(["small.tar", "small.tar.gz", "small.tar.zst"])(
    "takes %s, from a file and from a pipe",
    async (file) => {
      const name = file.replaceAll(".", "-");
      expect((await engine.call(["import", file, `${name}:v1`])).out).toMatch(
        /^sha256:[0-9a-f]{64}$/,
      );
      expect((await engine.run([`${name}:v1`, "sh", "-c", "echo in"])).out).toBe("in");
      const { out, exitCode } = await engine.bash(`"$MYDOCKER" import - ${name}:v2 <${file}`);
      expect(exitCode).toBe(0);
      expect(out).toMatch(/^sha256:/);
      expect((await engine.call(["rmi", `${name}:v1`, `${name}:v2`])).exitCode).toBe(0);
      expect((await engine.run([`${name}:v1`, "sh"])).exitCode).toBe(125);
    },
  );

  test("refuses what is no archive, and one that is cut off", async () => {
    for (const script of [
      "head -c 100000 /dev/urandom",
      "head -c 100000 small.tar",
      "head -c 10000 small.tar.gz",
      "head -c 10000 small.tar.zst",
    ]) {
      const { exitCode, out, err } = await engine.bash(`${script} | "$MYDOCKER" import - broken`);
      expect([script, exitCode, out]).toEqual([script, 1, ""]);
      expect(err).toStartWith("mydocker: ");
    }
    expect((await engine.call(["images", "--format", "{{.Repository}}"])).out).not.toContain(
      "broken",
    );
  });
});

test("rmi refuses an image that a container runs from, and removes it afterwards", async () => {
  expect((await engine.call(["import", "small.tar", "used"])).exitCode).toBe(0);
  const running = engine.start(["run", "--rm", "-i", "used", "sh", "-c", "echo ready; read x"]);
  await running.waitForOutput(/ready/);
  const { exitCode, err } = await engine.call(["rmi", "used"]);
  expect(exitCode).toBe(1);
  expect(err).toContain("used");
  running.stdin.end();
  await running.end();
  expect((await engine.call(["rmi", "used"])).exitCode).toBe(0);
  expect((await engine.run(["used", "sh"])).exitCode).toBe(125);
});

leavesNothingBehind(engine);
