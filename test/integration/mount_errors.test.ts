/** Mounts that cannot be had: one line, which names the path in the container and says why. */

import { describe, expect, test } from "bun:test";
import { readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";

const engine = useEngine();

/** A folder of the host with one file in it. */
function folder(name: string): string {
  const path = engine.directory(name);
  writeFileSync(join(path, "file"), "from the host\n");
  return path;
}

/** A root file system with a shell in it. */
async function rootfs(name: string): Promise<string> {
  const path = engine.directory(name);
  await engine.bash(`"$MYDOCKER" run --rm -v '${path}:/out' busybox cp -a /bin /out`);
  return path;
}

/** What is said when no container can be started. */
async function reason(...args: string[]): Promise<string> {
  const { out, err, exitCode } = await engine.run(args);
  expect({ out, exitCode }).toEqual({ out: "", exitCode: 125 });
  expect(err).not.toMatch(/\n|dirfd|\/proc\/self\/fd|O_|RESOLVE_|E[A-Z]{4,}:/);
  return err.replace(/^mydocker: /, "");
}

const MIXED_UP = "(or vice versa)? Check that the host's path is of the expected type";

describe("the error", () => {
  test("of a directory on a file asks Docker's question instead of printing openat2's flags", async () => {
    expect(await reason("-v", `${folder("dir")}:/etc/passwd`, "busybox", "true")).toBe(
      `mount on /etc/passwd: not a directory: are you trying to mount a directory onto a file ${MIXED_UP}`,
    );
  });

  test("of a file on a directory asks it, too, instead of move_mount's EINVAL", async () => {
    expect(await reason("-v", `${folder("file")}/file:/etc`, "busybox", "true")).toBe(
      `mount on /etc: is a directory: are you trying to mount a file onto a directory ${MIXED_UP}`,
    );
  });

  test.each([
    ["etc", "mount on /etc/hostname: /etc is not a directory"],
    ["dev", "mount on /dev: /dev is not a directory"],
    ["proc", "mount on /proc: /proc is not a directory"],
    ["sys", "mount on /sys: /sys is not a directory"],
  ])("of a --rootfs whose /%s is a file names it", async (name, message) => {
    const root = await rootfs(`file-${name}`);
    writeFileSync(join(root, name), "");
    expect(await reason("--rootfs", root, "true")).toBe(message);
  });

  test("of a target below a read-only mount says that it has to be there", async () => {
    const [outer, inner] = [folder("outer"), folder("inner")];
    const mounts = ["-v", `${outer}:/vol:ro`, "-v", `${inner}:/vol/sub`];
    expect(await reason(...mounts, "busybox", "true")).toBe(
      "mount on /vol/sub: make /vol/sub: read-only file system; what is mounted on has to be there already",
    );
    expect(readdirSync(outer)).toEqual(["file"]);
  });

  test("of a full tmpfs names the target that could not be made in it", async () => {
    const source = folder("full");
    for (const from of [source, join(source, "file")]) {
      const mounts = ["--tmpfs", "/x:nr_inodes=1", "-v", `${from}:/x/y`];
      expect(await reason(...mounts, "busybox", "true")).toBe(
        "mount on /x/y: make /x/y: no space left on device",
      );
    }
  });

  test("of a /dev that is full names the device", async () => {
    expect(await reason("--tmpfs", "/dev:nr_inodes=5", "busybox", "true")).toBe(
      "make /dev/zero: no space left on device",
    );
  });

  test("of an option that the file system does not take is the kernel's own", async () => {
    expect(await reason("--tmpfs", "/x:nosuch=1", "busybox", "true")).toBe(
      "mount tmpfs on /x: option nosuch=1: tmpfs: Unknown parameter 'nosuch'",
    );
    expect(await reason("--tmpfs", "/x:mode=700,size=much", "busybox", "true")).toBe(
      "mount tmpfs on /x: option size=much: tmpfs: Bad value for 'size'",
    );
  });

  test("of a target behind a loop of links says so", async () => {
    const root = await rootfs("loop");
    symlinkSync("loop", join(root, "loop"));
    expect(await reason("-v", `${folder("looped")}:/loop/x`, "--rootfs", root, "true")).toBe(
      "mount on /loop/x: /loop/x: too many levels of symbolic links",
    );
  });

  test("of something that is no procfs on /proc, or in it, is Docker's", async () => {
    const source = folder("fake-proc");
    const message = "/proc cannot be mounted because it is not of type proc";
    expect(await reason("-v", `${source}:/proc`, "busybox", "true")).toBe(message);
    expect(await reason("--tmpfs", "/proc", "busybox", "true")).toBe(message);
    expect(await reason("-v", `${source}:/proc/self`, "busybox", "true")).toBe(
      "/proc/self cannot be mounted because it is inside /proc",
    );
  });
});

leavesNothingBehind(engine);
