/** `run --userns private` and `--cgroupns`, from inside the container and on disk. */

import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { isUnified } from "../helpers/container_facts.ts";

const engine = useEngine();

const mapped = (script: string, ...options: string[]) =>
  engine.run(["--userns", "private", ...options, "busybox", "sh", "-c", script]);

const FIRST = 0x80000;

describe("--userns private", () => {
  test("leaves the host's /dev/null to its owner, which is standard input without -i", async () => {
    const of = () => {
      const { uid, gid, mode } = statSync("/dev/null");
      return { uid, gid, mode };
    };
    const before = of();
    expect((await mapped("id -u; readlink /proc/self/fd/0")).out).toBe("0\n/dev/null");
    expect((await mapped("chmod 700 /dev/null; echo", "-i")).exitCode).toBe(0);
    expect(of()).toEqual(before);
  });

  test("root in the container is somebody else on the host", async () => {
    const running = engine.start(
      ["run", "--rm", "-i", "--userns=private", "busybox", "sh", "-c"].concat(
        "id -u; cat /proc/self/uid_map /proc/self/gid_map; readlink /proc/self/ns/user; echo ready; cat",
      ),
    );
    const out = await running.waitForOutput(/ready/);
    const [id, uids, gids, namespace] = out.split("\n").map((line) => line.trim());
    const [inside, outside, size] = (uids ?? "").split(/ +/).map(Number);
    expect({ id, inside, size }).toEqual({ id: "0", inside: 0, size: 65536 });
    expect(outside).toBeGreaterThanOrEqual(FIRST);
    expect(gids).toBe(uids);
    expect(namespace).not.toBe(readlinkSync("/proc/self/ns/user"));
    // The command is a child of mydocker's.
    const [pid] = Bun.spawnSync(["pgrep", "-P", String(running.pid)])
      .stdout.toString()
      .split("\n");
    expect(statSync(`/proc/${pid}/task`).uid).toBe(outside as number);
    running.stdin.end();
    await running.end();
  });

  test("two containers have ranges of their own", async () => {
    const script = "cat /proc/self/uid_map";
    const both = await Promise.all([mapped(script), mapped(script)]);
    expect(new Set(both.map(({ out }) => out)).size).toBe(2);
  });

  test("the image's files belong to whom they should, and on disk to whom they always do", async () => {
    const script = `stat -c %u:%g / /bin/busybox /etc/passwd /tmp
      rm -r /home; mkdir -p /made/by; touch /made/by/root; chown 1000:1001 /made
      mv /var /moved; rm /etc/passwd; echo x >>/etc/group; ls -d /home /var /moved 2>&1`;
    const args = ["run", "--name=mapped", "--userns=private", "busybox", "sh", "-c", script];
    const { out, err } = await engine.call(args);
    expect(err).toBe("");
    expect(out.split("\n").slice(0, 4)).toEqual(["0:0", "0:0", "0:0", "0:0"]);
    expect(out).toContain("/moved");
    const containers = join(engine.root, "containers");
    const upper = join(containers, readdirSync(containers)[0] as string, "upper");
    const owner = (path: string) => {
      const { uid, gid } = statSync(join(upper, path));
      return [uid, gid];
    };
    expect(owner(".")).toEqual([0, 0]);
    expect(owner("made")).toEqual([1000, 1001]);
    expect(owner("made/by/root")).toEqual([0, 0]);
    expect(owner("etc/group")).toEqual([0, 0]);
    await engine.call(["rm", "mapped"]);
  });

  test("what is removed is gone, and what is made anew in its place is empty", async () => {
    const { out, err } = await mapped(
      "ls -A /root /home >/old; rm -r /home; mkdir -p /home/new; ls -A /home; touch /home/x; rm -r /home; ls -d /home 2>/dev/null || echo none",
    );
    expect({ out, err }).toEqual({ out: "new\nnone", err: "" });
  });

  test("devices, /proc, /sys, /etc files, limits and masks are as in other containers", async () => {
    const script = `echo x >/dev/null; head -c 3 /dev/zero | wc -c; hostname
      cat /etc/hostname; stat -c %u /etc/hosts; cat /proc/sys/net/ipv4/ping_group_range
      cat /proc/self/oom_score_adj; touch /sys/x 2>/dev/null || echo ro
      echo 1 2>/dev/null >/proc/sysrq-trigger || echo ro; cat /proc/keys
      cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; ip -o link | wc -l`;
    const { out, err } = await mapped(
      script,
      "-h",
      "boxed",
      "--pids-limit=77",
      "--oom-score-adj=5",
    );
    expect(err).toBe("");
    expect(out.replaceAll("\t", " ").split("\n")).toEqual(
      ["3", "boxed", "boxed", "0", "0 65535", "5", "ro", "ro", "77"].concat(
        out.split("\n").at(-1) as string,
      ),
    );
  });

  test("users, a terminal, --init, a read-only root and the way by a fresh process", async () => {
    expect((await mapped("id -u; touch /tmp/x; stat -c %u /tmp/x", "-u", "nobody")).out).toBe(
      "65534\n65534",
    );
    for (const user of ["root", "nobody"]) {
      const again = await mapped("echo out >/dev/stdout; echo err >/dev/stderr", "-u", user);
      expect(again).toMatchObject({ out: "out", err: "err" });
    }
    expect((await mapped("tty; stat -c %g $(tty)", "-t")).out.replaceAll("\r", "")).toBe(
      "/dev/pts/0\n5",
    );
    expect((await mapped("echo $PPID; touch /x 2>/dev/null || echo ro", "--init")).out).toBe("1");
    expect((await mapped("touch /x 2>/dev/null || echo ro", "--read-only")).out).toBe("ro");
    const args = ["--userns=auto", "busybox", "sh", "-c", "id -u; stat -c %u /bin; echo x >/y"];
    const staged = await engine.run(args, { env: { MYDOCKER_FORK: "stage" } });
    expect(staged).toMatchObject({ out: "0\n0", err: "", exitCode: 0 });
  });

  test("a bind shows the host's ids as nobody's, with idmap as they are, both ways", async () => {
    const folder = engine.directory("shared");
    writeFileSync(join(folder, "of-root"), "");
    const plain = await mapped(
      "stat -c %u /s/of-root; touch /s/x 2>/dev/null || echo no",
      "-v",
      `${folder}:/s`,
    );
    expect(plain.out).toBe("65534\nno");
    const script = "stat -c %u /s/of-root; touch /s/x; chown 1000 /s/x; echo y >>/s/of-root";
    for (const option of [
      `-v=${folder}:/s:idmap`,
      `--mount=type=bind,src=${folder},dst=/s,idmap`,
    ]) {
      const { out, err } = await mapped(script, option);
      expect({ out, err }).toEqual({ out: "0", err: "" });
      expect(statSync(join(folder, "x")).uid).toBe(1000);
      await engine.bash(`rm '${folder}/x'`);
    }
  });

  test("mount namespaces of our own are gone, and so is what they had mounted", async () => {
    const { out } = await mapped(
      "grep -c . /proc/self/mountinfo; grep -c /root.3 /proc/self/mountinfo",
    );
    expect(out).toMatch(/^\d+\n0$/);
  });

  test.each([
    [["--privileged"], "privileged mode is incompatible with user namespaces"],
    [["--network=host"], "cannot share the host's network namespace with --userns private"],
    [["--pid=host"], "cannot share the host's pid namespace"],
    [["--ipc=host"], "cannot share the host's ipc namespace"],
    [["-u", "70000"], "user 70000 is not in the container's user namespace"],
    [["-u", "1:70000"], "group 70000 is not in the container's user namespace"],
    [["--group-add", "65536"], "group 65536 is not in the container's user namespace"],
    [["--device=/dev/zero:/dev/nil"], "cannot show /dev/zero as /dev/nil with --userns private"],
    [["--userns=keep-id"], 'USER mode "keep-id" is not supported: use private or host'],
    [["--userns=some"], "invalid USER mode"],
    [["--cgroupns=some"], "invalid CGROUP mode"],
  ])("%j is an error", async (options, message) => {
    const { err, exitCode } = await engine.run(["--userns=private", ...options, "busybox", "true"]);
    expect(err).toContain(message);
    expect(exitCode).toBe(125);
  });

  test("a root that cannot be mapped is an error that names it", async () => {
    const folder = engine.directory("ramfs");
    mkdirSync(folder, { recursive: true });
    const { err, exitCode } = await engine.bash(
      `unshare -m sh -c 'mount -t ramfs none "$0" && "$MYDOCKER" run --rm --userns private --rootfs "$0" /bin/true' '${folder}'`,
    );
    expect(err).toContain(`cannot show ${folder} to a user namespace: its file system`);
    expect(exitCode).toBe(125);
  });
});

describe("a bind with idmap", () => {
  /** A directory of somebody's, with files of his, of root's and of another one's. */
  async function directoryOf(owner: string, name: string): Promise<string> {
    const folder = engine.directory(name);
    const files = "touch mine root other; chown 77:77 other; chmod 666 root";
    await engine.bash(`cd '${folder}'; ${files}; chown ${owner} . mine`);
    return folder;
  }
  const ownerOf = (...path: string[]) => {
    const { uid, gid } = statSync(join(...path));
    return `${uid}:${gid}`;
  };

  const script = `cd /s; stat -c %u:%g . mine other root; echo x >>mine; mkdir new; echo x >new/f
    ln -s f new/link; touch given; chown 42:42 given; { echo x >>root; } 2>/dev/null || echo no`;
  const cases: [what: string, options: string[], seen: string][] = [
    ["root", [], "0:0"],
    ["root of a user namespace", ["--userns=private"], "0:0"],
    ["a user by number", ["-u", "1000:1001", "--cap-add", "ALL"], "1000:1001"],
    ["a user by name", ["-u", "nobody"], "65534:65534"],
  ];
  for (const [what, options, seen] of cases) {
    test(`belongs to its owner, and so does what ${what} leaves there`, async () => {
      const folder = await directoryOf("1234:5678", `of-owner-${what}`);
      const isRoot = seen === "0:0";
      const args = [...options, `-v=${folder}:/s:idmap`, "busybox", "sh", "-c", script];
      const { out } = await engine.run(args);
      const [directory, mine, other, root, refused] = out.split("\n");
      expect([directory, mine, other]).toEqual([seen, seen, "77:77"]);
      // What would be taken for somebody else's is nobody's. That is a name for another user, too.
      expect(root).toBe(isRoot ? "65534:65534" : "0:0");
      expect(refused).toBe(isRoot ? "no" : undefined);
      for (const name of [".", "mine", "new", "new/f"])
        expect(ownerOf(folder, name)).toBe("1234:5678");
      if (isRoot) expect(ownerOf(folder, "given")).toBe("42:42");
      expect(ownerOf(folder, "root")).toBe("0:0");
    });
  }

  test("keeps out who would be taken for its owner, and shows root's as root's to root", async () => {
    const folder = await directoryOf("1234:5678", "of-owner");
    await engine.call([
      "run",
      "-d",
      "--name",
      "mapped",
      "--mount",
      `type=bind,src=${folder},dst=/s,idmap`,
      "busybox",
      "sleep",
      "1000",
    ]);
    await engine.bash(`chmod 777 '${folder}'`);
    const other = await engine.call(["exec", "-u", "1234", "mapped", "touch", "/s/x"]);
    expect(other.err).toContain("Value too large");
    await engine.call(["exec", "mapped", "touch", "/s/y"]);
    await engine.call(["restart", "-t", "0", "mapped"]);
    await engine.call(["exec", "mapped", "touch", "/s/z"]);
    expect([ownerOf(folder, "y"), ownerOf(folder, "z")]).toEqual(["1234:5678", "1234:5678"]);
    await engine.call(["rm", "-f", "mapped"]);
    const roots = await directoryOf("0:0", "of-root");
    const { out } = await engine.run([
      `-v=${roots}:/s:idmap`,
      "busybox",
      "stat",
      "-c",
      "%u",
      "/s/root",
    ]);
    expect(out).toBe("0");
  });

  test("is an error that says why where the file system cannot", async () => {
    const folder = engine.directory("unmappable");
    const { err, exitCode } = await engine.bash(
      `unshare -m sh -c 'mount -t ramfs none "$0" && chown 1:1 "$0" && "$MYDOCKER" run --rm -v "$0:/s:idmap" busybox true' '${folder}'`,
    );
    expect(err).toContain(`mount ${folder} on /s with mapped ids: `);
    expect(err).toContain("its file system, or the kernel, has no ID-mapped mounts");
    expect(exitCode).toBe(125);
    const unknown = await engine.run(["-u", "nemo", `-v=${folder}:/s:idmap`, "busybox", "true"]);
    expect([unknown.exitCode, unknown.err]).toEqual([125, expect.stringContaining("nemo")]);
  });
});

test("--userns host is the default", async () => {
  const { out } = await engine.run(["--userns=host", "busybox", "readlink", "/proc/self/ns/user"]);
  expect(out).toBe(readlinkSync("/proc/self/ns/user"));
});

test("--cgroupns private shows the container's cgroup as the root, host does not", async () => {
  const paths = async (...options: string[]) => {
    const { out } = await engine.run([...options, "busybox", "cat", "/proc/self/cgroup"]);
    return out.split("\n").filter((line) => /pids|^0::/.test(line));
  };
  const pids = (lines: string[]) => lines.map((line) => line.replace(/^[^:]*:[^:]*:/, ""));
  expect(pids(await paths("--cgroupns=private"))).not.toContainEqual(
    expect.stringContaining("mydocker"),
  );
  expect(pids(await paths("--cgroupns=host")).join()).toMatch(/\/mydocker\/[0-9a-f]{64}/);
  const usual = pids(await paths()).join();
  if (isUnified) expect(usual).toBe("/");
  else expect(usual).toMatch(/\/mydocker\//);
});

leavesNothingBehind(engine);
