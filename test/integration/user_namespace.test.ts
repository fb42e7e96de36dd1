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

test("idmap without a user namespace is an error", async () => {
  const { err } = await engine.run(["-v=/tmp:/x:idmap", "busybox", "true"]);
  expect(err).toContain("cannot map the ids of /x: the container has those of the host");
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
