/** `-v`, `--mount`, `--tmpfs`. */

import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { parseMounts } from "../helpers/container_facts.ts";
import { program, testIf } from "../helpers/requires.ts";

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

/** What is mounted at a path, from inside. */
async function mountAt(target: string, ...options: string[]) {
  return parseMounts(await output(...options, "busybox", "cat", "/proc/self/mountinfo")).findLast(
    (mount) => mount.target === target,
  );
}

async function refused(options: readonly string[], ...words: readonly string[]): Promise<void> {
  const { out, err, exitCode } = await engine.run([...options, "busybox", "echo", "ran"]);
  expect({ exitCode, out }).toEqual({ exitCode: 125, out: "" });
  for (const word of words) expect(err).toContain(word);
}

describe("-v", () => {
  test("shows a folder of the host, both ways", async () => {
    const source = folder("both");
    expect(
      await output(
        "-v",
        `${source}:/data`,
        "busybox",
        "sh",
        "-c",
        "cat /data/file; echo back >/data/new; mkdir /data/dir",
      ),
    ).toBe("from the host");
    expect(readFileSync(join(source, "new"), "utf8")).toBe("back\n");
    expect(readdirSync(source).sort()).toEqual(["dir", "file", "new"]);
  });

  test("with :ro can be read only", async () => {
    const source = folder("ro");
    const { out, err } = await engine.run([
      "-v",
      `${source}:/data:ro`,
      "busybox",
      "sh",
      "-c",
      "cat /data/file; touch /data/x; rm /data/file",
    ]);
    expect(out).toBe("from the host");
    expect(err.match(/Read-only file system/g)).toHaveLength(2);
    expect(readdirSync(source)).toEqual(["file"]);
  });

  test("mounts one file, too", async () => {
    const source = join(folder("single"), "file");
    expect(
      await output(
        "-v",
        `${source}:/etc/motd`,
        "-v",
        `${source}:/a/b/c`,
        "busybox",
        "cat",
        "/etc/motd",
        "/a/b/c",
      ),
    ).toBe("from the host\nfrom the host");
  });

  test("makes a missing source as a directory", async () => {
    const source = join(engine.directory("missing"), "deep/er");
    await output("-v", `${source}:/data`, "busybox", "touch", "/data/x");
    expect(readdirSync(source)).toEqual(["x"]);
    expect(statSync(source).mode & 0o777).toBe(0o755);
  });

  test("is private: what is mounted inside does not appear outside", async () => {
    const source = folder("private");
    expect((await mountAt("/data", "-v", `${source}:/data`))?.options).toContain("rw");
    await output(
      "--privileged",
      "-v",
      `${source}:/data`,
      "busybox",
      "sh",
      "-c",
      "mkdir /data/m; mount -t tmpfs t /data/m; touch /data/m/hidden; ls /data/m | grep -q hidden",
    );
    expect(readdirSync(join(source, "m"))).toEqual([]);
  });

  test("takes several, one inside the other, in any order", async () => {
    const [outer, inner] = [folder("outer"), folder("inner")];
    expect(
      await output(
        "-v",
        `${inner}:/data/inner`,
        "-v",
        `${outer}:/data`,
        "busybox",
        "sh",
        "-c",
        "ls /data; ls /data/inner",
      ),
    ).toBe("file\ninner\nfile");
  });

  test("refuses a target that is relative, or the root", async () => {
    const source = folder("bad");
    await refused(["-v", `${source}:data`], "data");
    await refused(["-v", `${source}:/`], "/");
    await refused(["-v", `${source}:/data:nosuch`], "nosuch");
    await refused(["-v", `${source}:/data`, "-v", `${source}:/data`], "/data");
  });

  test("keeps set-user-id from nothing, but devices need the right to make them", async () => {
    const source = folder("nodes");
    await output("-v", `${source}:/data`, "busybox", "mknod", "/data/null", "c", "1", "3");
    expect(statSync(join(source, "null")).isCharacterDevice()).toBe(true);
  });

  testIf(
    [program("unshare")],
    "covers what is mounted below the source, read-only as well",
    async () => {
      const source = folder("deep");
      const { out, err } = await engine.bash(`exec unshare -m bash -ec '
      mkdir -p "$1/sub"; mount -t tmpfs t "$1/sub"; echo below >"$1/sub/file"
      exec "$MYDOCKER" run --rm -v "$1:/data:ro" busybox sh -c "cat /data/sub/file; touch /data/sub/x"' - '${source}'`);
      expect(out).toBe("below");
      expect(err).toContain("Read-only file system");
    },
  );
});

describe("--mount", () => {
  test("binds, with every spelling of the keys", async () => {
    const source = folder("spelled");
    for (const spec of [
      `type=bind,source=${source},target=/data`,
      `type=bind,src=${source},dst=/data`,
      `type=bind,src=${source},destination=/data,readonly=false`,
    ]) {
      expect(await output("--mount", spec, "busybox", "cat", "/data/file")).toBe("from the host");
    }
    for (const readonly of ["readonly", "ro", "readonly=true"]) {
      const { err } = await engine.run([
        "--mount",
        `type=bind,src=${source},dst=/data,${readonly}`,
        "busybox",
        "touch",
        "/data/x",
      ]);
      expect(err).toContain("Read-only file system");
    }
  });

  test("refuses a missing source, and makes nothing", async () => {
    const source = join(engine.directory("absent"), "not-there");
    await refused(["--mount", `type=bind,src=${source},dst=/data`], source);
    expect(existsSync(source)).toBe(false);
  });

  test("makes a tmpfs of the size and mode asked for", async () => {
    const mount = "type=tmpfs,target=/scratch,tmpfs-size=1m,tmpfs-mode=1770";
    expect(
      await output(
        "--mount",
        mount,
        "busybox",
        "sh",
        "-c",
        "df -k /scratch | tail -1 | awk '{print $2}'; stat -c %a /scratch",
      ),
    ).toBe("1024\n1770");
    const { err } = await engine.run([
      "--mount",
      mount,
      "busybox",
      "dd",
      "if=/dev/zero",
      "of=/scratch/x",
      "bs=1M",
      "count=2",
    ]);
    expect(err).toContain("No space left on device");
  });

  test("refuses what it does not know", async () => {
    await refused(["--mount", "type=bind,src=/tmp"], "target");
    await refused(["--mount", "type=nosuch,dst=/x"], "nosuch");
    await refused(["--mount", "type=tmpfs,dst=/x,nosuch=1"], "nosuch");
    await refused(["--mount", "type=tmpfs,src=/tmp,dst=/x"], "tmpfs");
  });
});

testIf(
  [program("unshare")],
  "--mount bind-recursive says what is mounted below, and whether it is read-only",
  async () => {
    const source = folder("recursive");
    const cases: [recursion: string, below: string, writes: string][] = [
      ["enabled", "file", "read-only"],
      ["readonly,bind-propagation=rprivate", "file", "read-only"],
      ["writable", "file", "written"],
      ["disabled", "", "read-only"],
    ];
    for (const [recursion, below, writes] of cases) {
      const { out } = await engine.bash(
        `exec unshare -m bash -ec '
      mkdir -p "$1/sub"; mount -t tmpfs t "$1/sub"; >"$1/sub/file"
      exec "$MYDOCKER" run --rm --mount "type=bind,src=$1,dst=/data,ro,bind-recursive=$2" busybox sh -c "
        ls /data/sub; (>/data/sub/x) 2>/dev/null && echo written || echo read-only; (>/data/x) 2>/dev/null || echo top"' - "$@"`,
        { args: [source, recursion] },
      );
      expect([recursion, out.split("\n")]).toEqual([
        recursion,
        [below, writes, "top"].filter(Boolean),
      ]);
    }
  },
);

describe("--tmpfs", () => {
  test("is empty, writable, nosuid, nodev and noexec, and gone afterwards", async () => {
    const mount = await mountAt("/scratch", "--tmpfs", "/scratch");
    expect(mount?.type).toBe("tmpfs");
    expect(mount?.options).toEqual(expect.arrayContaining(["rw", "nosuid", "nodev", "noexec"]));
    expect(
      await output(
        "--tmpfs",
        "/etc",
        "busybox",
        "sh",
        "-c",
        "ls /etc | grep -v -e hosts -e hostname -e resolv.conf | wc -l; echo x >/etc/x && cat /etc/x",
      ),
    ).toBe("0\nx");
    expect((await engine.run(["busybox", "ls", "/scratch"])).exitCode).toBe(1);
  });

  test("takes options", async () => {
    const mount = await mountAt("/scratch", "--tmpfs", "/scratch:size=2m,mode=700,exec,uid=5");
    expect(mount?.options).not.toContain("noexec");
    expect(mount?.superOptions).toEqual(
      expect.arrayContaining(["size=2048k", "mode=700", "uid=5"]),
    );
  });
});

describe("targets", () => {
  test("are made in the container's layer, not in the image", async () => {
    await output("-v", `${folder("made")}:/made/up/path`, "busybox", "true");
    expect((await engine.run(["busybox", "ls", "/made"])).exitCode).toBe(1);
  });

  test("are inside the container, wherever its links lead", async () => {
    const rootfs = engine.directory("links");
    await engine.bash(`"$MYDOCKER" run --rm -v '${rootfs}:/out' busybox cp -a /bin /out`);
    const canary = engine.directory("outside");
    symlinkSync(canary, join(rootfs, "absolute"));
    symlinkSync("../../../../../../../../..", join(rootfs, "up"));
    mkdirSync(join(rootfs, "real"));
    symlinkSync("real", join(rootfs, "relative"));
    const source = folder("source");
    for (const target of ["/absolute/x", "/up/x", "/relative/x", "/absolute"]) {
      const script = `cat '${target === "/absolute" ? target : target}/file'`;
      expect(
        await output("-v", `${source}:${target}`, "--rootfs", rootfs, "sh", "-c", script),
      ).toBe("from the host");
    }
    expect(readdirSync(canary)).toEqual([]);
    expect(readdirSync(rootfs).sort()).toEqual(["absolute", "bin", "real", "relative", "up"]);
    expect(existsSync("/x")).toBe(false);
  });

  test("may cover /etc/hosts, /tmp and the command's own folder", async () => {
    const source = folder("cover");
    expect(
      await output("-v", `${join(source, "file")}:/etc/hosts`, "busybox", "cat", "/etc/hosts"),
    ).toBe("from the host");
    expect((await engine.run(["-v", `${source}:/bin`, "busybox", "ls"])).exitCode).toBe(127);
  });
});

leavesNothingBehind(engine);
