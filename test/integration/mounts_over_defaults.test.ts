/** Mounts of the caller's at, above and below those that every container has. */

import { describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { type MountLine, parseMounts } from "../helpers/container_facts.ts";
import { onTerminal } from "../helpers/terminal.ts";

const engine = useEngine();

/** A folder of the host with one file in it. */
function folder(name: string): string {
  const path = engine.directory(name);
  writeFileSync(join(path, "file"), "from the host\n");
  return path;
}

async function output(...args: string[]): Promise<string> {
  const { out, err, exitCode } = await engine.run(args);
  expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
  return out;
}

async function mountsOf(...options: string[]): Promise<MountLine[]> {
  return parseMounts(await output(...options, "busybox", "cat", "/proc/self/mountinfo"));
}

/** Targets of the mounts at and below a path. */
const below = (mounts: readonly MountLine[], path: string) =>
  mounts.map(({ target }) => target).filter((target) => `${target}/`.startsWith(`${path}/`));

describe("a mount of the caller's", () => {
  test.each(["/sys", "/sys/fs/cgroup", "/dev/shm", "/dev/mqueue", "/dev/pts"])(
    "-v DIR:%s takes the place of the default mount, and what lies in that",
    async (target) => {
      const source = folder(`over${target.replaceAll("/", "-")}`);
      expect(await output("-v", `${source}:${target}`, "busybox", "ls", target)).toBe("file");
      const mounts = await mountsOf("-v", `${source}:${target}`);
      expect(below(mounts, target)).toEqual([target]);
      expect(readdirSync(source)).toEqual(["file"]);
    },
  );

  test.each(["/sys", "/sys/fs/cgroup", "/dev/shm"])(
    "--tmpfs %s takes its place, and is empty",
    async (target) => {
      expect(await output("--tmpfs", target, "busybox", "ls", "-A", target)).toBe("");
      const mounts = await mountsOf("--tmpfs", target);
      expect(below(mounts, target)).toEqual([target]);
      expect(mounts.find((mount) => mount.target === target)?.type).toBe("tmpfs");
    },
  );

  test("-v DIR:/dev shows the directory as it is, and adds nothing to it", async () => {
    const source = folder("dev");
    expect(await output("-v", `${source}:/dev`, "busybox", "ls", "/dev")).toBe("file");
    expect(readdirSync(source)).toEqual(["file"]);
  });

  test("--tmpfs /dev:dev is a /dev like any: with nodes, links, and mounts of its own", async () => {
    const script = "ls /dev; stat -c %t:%T /dev/null; echo x >/dev/null";
    const [own, usual] = [
      await output("--tmpfs", "/dev:dev", "busybox", "sh", "-c", script),
      await output("busybox", "sh", "-c", script),
    ];
    expect(own).toBe(usual);
    const targets = ["/dev", "/dev/pts", "/dev/mqueue", "/dev/shm"];
    expect(below(await mountsOf("--tmpfs", "/dev"), "/dev")).toEqual(targets);
  });

  test("-v /dev/urandom:/dev/random takes the place of the device, as does any other file", async () => {
    const random = ["-v", "/dev/urandom:/dev/random", "busybox", "stat", "-c", "%t:%T"];
    expect(await output(...random, "/dev/random", "/dev/urandom")).toBe("1:9\n1:9");
    const zero = ["-v", `${folder("zero")}/file:/dev/zero`, "busybox", "cat", "/dev/zero"];
    expect(await output(...zero)).toBe("from the host");
  });

  test("-v /sys:/sys shows the host's, with Docker's masks on it", async () => {
    const mounts = await mountsOf("-v", "/sys:/sys");
    const sys = mounts.find(({ target }) => target === "/sys");
    expect(sys?.options).toContain("rw");
    expect(below(mounts, "/sys/firmware")).toEqual(["/sys/firmware"]);
    expect(await output("-v", "/sys:/sys", "busybox", "ls", "-A", "/sys/firmware")).toBe("");
  });

  test("-v /proc:/proc shows the host's, with Docker's masks on it", async () => {
    const mounts = await mountsOf("-v", "/proc:/proc");
    expect(below(mounts, "/proc").filter((target) => target === "/proc")).toHaveLength(1);
    expect(mounts.find(({ target }) => target === "/proc/sys")?.options).toContain("ro");
    expect(await output("-v", "/proc:/proc", "busybox", "cat", "/proc/keys")).toBe("");
  });

  test("below a default mount lies in it", async () => {
    const source = folder("inside");
    for (const target of ["/dev/shm/here", "/dev/here", "/sys/kernel"])
      expect(await output("-v", `${source}:${target}`, "busybox", "ls", target)).toBe("file");
  });
});

describe("-t with -v /dev:/dev", () => {
  test("has a terminal of the container's own devpts, not the host's", async () => {
    const script = "tty; echo $(ls /dev/pts); grep ' /dev/pts ' /proc/self/mountinfo | tail -1";
    const args = ["run", "--rm", "-t", "-v", "/dev:/dev", "busybox", "sh", "-c", script];
    const { output, exitCode } = await onTerminal(engine, args).end();
    expect(exitCode).toBe(0);
    const [tty, ptys, mount] = output.replaceAll("\r", "").split("\n");
    expect([tty, ptys]).toEqual(["/dev/pts/0", "0 ptmx"]);
    expect(parseMounts(mount ?? "")[0]?.superOptions).toContain("ptmxmode=666");
  });

  test("with a /dev/pts that is none says so", async () => {
    const source = folder("no-pts");
    const args = ["run", "--rm", "-t", "-v", `${source}:/dev/pts`, "busybox", "true"];
    const { output, exitCode } = await onTerminal(engine, args).end();
    expect(exitCode).toBe(125);
    expect(output).toContain("mydocker: open a terminal: /dev/pts is not a devpts file system");
  });

  test("and without -t shows the host's /dev/shm", async () => {
    const name = `mydocker-test-${process.pid}`;
    const { out } = await engine.bash(
      `touch /dev/shm/${name}; trap 'rm /dev/shm/${name}' EXIT
       "$MYDOCKER" run --rm -v /dev:/dev busybox ls /dev/shm`,
    );
    expect(out.split("\n")).toContain(name);
  });
});

leavesNothingBehind(engine);
