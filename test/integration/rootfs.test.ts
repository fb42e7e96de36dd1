/** The root file system: copy-on-write, the old root gone, /dev, /proc and /sys as Docker has them. */

import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { parseMounts } from "../helpers/container_facts.ts";
import { program, testIf } from "../helpers/requires.ts";

const engine = useEngine();

/** What a shell in a new container prints. */
async function shell(script: string, ...options: string[]): Promise<string> {
  const { out, err, exitCode } = await engine.run([...options, "busybox", "sh", "-c", script]);
  expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
  return out;
}

async function mountsOf(...options: string[]) {
  return parseMounts(await shell("cat /proc/self/mountinfo", ...options));
}

/** Names, modes, owners, links and contents of everything in the stored images. */
async function imagesDigest(): Promise<string> {
  const { out, exitCode } = await engine.bash(
    'cd "$MYDOCKER_ROOT/images" && tar --sort=name --numeric-owner -cf - . | sha256sum',
  );
  expect(exitCode).toBe(0);
  return out;
}

describe("copy on write", () => {
  test("the image never changes, whatever a container does to it", async () => {
    const before = await imagesDigest();
    await shell(
      "rm -rf /bin/vi /etc/profile /var /home; echo x >>/etc/passwd; chmod 700 /bin; chown 1:1 /etc; mv /root /moved; mkdir -p /a/b; ln -s x /a/link; touch -d 2001-01-01 /etc/group",
    );
    expect(await imagesDigest()).toBe(before);
    expect(await shell("ls -d /bin/vi /etc/profile /var /root")).toBe(
      "/bin/vi\n/etc/profile\n/root\n/var",
    );
  });

  test("two containers of one image never see each other's writes", async () => {
    const both = [1, 2].map((n) =>
      engine.start([
        "run",
        "--rm",
        "-i",
        "busybox",
        "sh",
        "-c",
        `echo ${n} >/mine; echo ready; read go; cat /mine; ls /`,
      ]),
    );
    for (const running of both) await running.waitForOutput(/ready/);
    for (const running of both) running.stdin.write("go\n");
    const results = await Promise.all(both.map((running) => running.end()));
    expect(results.map(({ out }) => out.split("\n")[1])).toEqual(["1", "2"]);
    expect(results[0]?.out.split("\n").slice(2)).toEqual(
      results[1]?.out.split("\n").slice(2) ?? [],
    );
  });

  test("the root is an overlay of its own", async () => {
    const [root, ...others] = (await mountsOf()).filter(({ target }) => target === "/");
    expect(others).toEqual([]);
    expect(root).toMatchObject({ type: "overlay", root: "/" });
  });

  test("writes of any size and kind succeed", async () => {
    const out = await shell(
      "dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null; wc -c </big; mkfifo /f; mknod /n c 1 3; ln /big /hard; stat -c %h /big; echo x >/n; cp -a /bin /bin2; ls /bin2 | wc -l; ls /bin | wc -l",
    );
    const [size, links, copied, original] = out.split("\n");
    expect([size, links]).toEqual(["20971520", "2"]);
    expect(copied).toBe(original as string);
  });
});

describe("the old root", () => {
  test("is out of reach: only the container's mounts are there", async () => {
    const targets = (await mountsOf()).map(({ target }) => target);
    const known = /^\/$|^\/(proc|dev|sys)(\/|$)|^\/etc\/(hosts|hostname|resolv\.conf)$/;
    expect(targets.filter((target) => !known.test(target))).toEqual([]);
  });

  test("is above nothing that a path leads to", async () => {
    const [inside, ...rest] = (
      await shell(
        "ls /; echo --; ls /../../..; echo --; ls /proc/1/root/; echo --; ls /proc/1/cwd/; echo --; ls -d /proc/*/root/work 2>/dev/null; echo end",
      )
    ).split("--\n");
    expect(rest.slice(0, 3)).toEqual([inside, inside, inside] as string[]);
    expect(rest[3]).toBe("end");
  });

  test("is not in reach by chroot: not even with the right to it", async () => {
    // The classic way out of a chroot: one directory deeper, with the old one still the working directory.
    const script =
      "mkdir -p /jail; cp /bin/busybox /jail; cd /; chroot /jail /busybox ls ../../../..";
    expect(await shell(script)).toBe("busybox");
  });

  test("is held by no descriptor, and none is inherited", async () => {
    const { out } = await engine.bash(
      `"$MYDOCKER" run --rm busybox sh -c 'ls /proc/1/fd; true' 7</etc/passwd 8</ 9>/dev/null`,
    );
    expect(out.split("\n").filter((fd) => Number(fd) > 2 && Number(fd) !== 10)).toEqual([]);
  });
});

describe("/dev", () => {
  test("holds just what Docker's does", async () => {
    const out = await shell("ls -A /dev; ls -l /dev | sed -n 's/.* \\([a-z]*\\) -> /\\1 -> /p'");
    expect(out.split("\n").sort()).toEqual(
      [
        ...["fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm"],
        ...["stderr", "stdin", "stdout", "tty", "urandom", "zero"],
        "fd -> /proc/self/fd",
        "ptmx -> pts/ptmx",
        "stderr -> /proc/self/fd/2",
        "stdin -> /proc/self/fd/0",
        "stdout -> /proc/self/fd/1",
      ].sort(),
    );
  });

  test("has the right nodes, for everybody", async () => {
    const out = await shell(
      "cd /dev; stat -c '%n %t:%T %a %u:%g' null zero full random urandom tty",
    );
    expect(out.split("\n")).toEqual([
      "null 1:3 666 0:0",
      "zero 1:5 666 0:0",
      "full 1:7 666 0:0",
      "random 1:8 666 0:0",
      "urandom 1:9 666 0:0",
      "tty 5:0 666 0:0",
    ]);
  });

  test("works", async () => {
    expect(
      await shell(
        "head -c 3 /dev/zero | od -An -tx1; echo gone >/dev/null; head -c 16 /dev/urandom | wc -c; echo piped | cat /dev/stdin; echo out >/dev/stdout; (echo x >/dev/full) 2>&1 | grep -c 'No space'",
      ),
    ).toBe(" 00 00 00\n16\npiped\nout\n1");
  });

  test("/dev/shm has the size asked for", async () => {
    expect(await shell("df -k /dev/shm | tail -1 | awk '{print $2}'; stat -c %a /dev/shm")).toBe(
      "65536\n1777",
    );
    expect(await shell("df -k /dev/shm | tail -1 | awk '{print $2}'", "--shm-size", "8m")).toBe(
      "8192",
    );
  });
});

describe("mount options", () => {
  test.each([
    ["/proc", "proc", ["rw", "nosuid", "nodev", "noexec"]],
    ["/dev", "tmpfs", ["rw", "nosuid"]],
    ["/dev/pts", "devpts", ["rw", "nosuid", "noexec"]],
    ["/sys", "sysfs", ["ro", "nosuid", "nodev", "noexec"]],
    ["/sys/fs/cgroup", undefined, ["ro", "nosuid", "nodev", "noexec"]],
    ["/dev/mqueue", "mqueue", ["rw", "nosuid", "nodev", "noexec"]],
    ["/dev/shm", "tmpfs", ["rw", "nosuid", "nodev", "noexec"]],
  ] as const)("of %s are Docker's", async (target, type, options) => {
    const mount = (await mountsOf()).findLast((each) => each.target === target);
    if (type !== undefined) expect(mount?.type).toBe(type);
    expect(mount?.options.filter((option) => option !== "relatime").sort()).toEqual(
      [...options].sort(),
    );
  });

  test("of the file systems themselves, too", async () => {
    const mounts = await mountsOf();
    const data = (target: string) =>
      mounts.findLast((each) => each.target === target)?.superOptions;
    expect(data("/dev")).toEqual(expect.arrayContaining(["size=65536k", "mode=755"]));
    expect(data("/dev/pts")).toEqual(expect.arrayContaining(["gid=5", "mode=620", "ptmxmode=666"]));
    expect(data("/dev/shm")).toEqual(expect.arrayContaining(["size=65536k"]));
  });

  test("every cgroup hierarchy is read-only and shows the container's own cgroup", async () => {
    const below = (await mountsOf()).filter(({ type }) => type.startsWith("cgroup"));
    expect(below.length).toBeGreaterThan(0);
    for (const mount of below) expect(mount.options).toContain("ro");
    const out = await shell(
      "cat /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/pids/cgroup.procs 2>/dev/null | head -1",
    );
    expect(out).toBe("1");
  });
});

describe("what tells of the host, or changes it", () => {
  test.each([
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
  ])("/proc/%s is masked, or not there", async (name) => {
    expect(
      await shell(
        `if [ -d /proc/${name} ]; then ls -A /proc/${name}; elif [ -e /proc/${name} ]; then head -c 100 /proc/${name}; fi`,
      ),
    ).toBe("");
  });

  test("/sys/firmware, powercap and thermal_throttle are masked, or not there", async () => {
    expect(
      await shell(
        "ls -A /sys/firmware; [ ! -d /sys/devices/virtual/powercap ] || ls -A /sys/devices/virtual/powercap; for d in /sys/devices/system/cpu/cpu*/thermal_throttle; do [ ! -d $d ] || ls -A $d; done",
      ),
    ).toBe("");
  });

  test("the masks cannot be written through", async () => {
    expect(
      await shell(
        "for f in /proc/acpi /sys/firmware; do [ ! -d $f ] || ! touch $f/x 2>/dev/null || echo $f; done",
      ),
    ).toBe("");
  });

  test.each(["bus", "fs", "irq", "sys", "sysrq-trigger"])(
    "/proc/%s is read-only, or not there",
    async (name) => {
      const mount = (await mountsOf()).findLast(({ target }) => target === `/proc/${name}`);
      expect(mount?.options ?? ["ro"]).toContain("ro");
      if (name === "sys")
        expect(
          await shell("(echo x >/proc/sys/kernel/hostname) 2>&1 | grep -c 'Read-only file system'"),
        ).toBe("1");
      if (name === "sysrq-trigger")
        expect(
          await shell(
            "[ ! -e /proc/sysrq-trigger ] || (echo x >/proc/sysrq-trigger) 2>&1 | grep -q 'Read-only file system'; echo $?",
          ),
        ).toBe("0");
    },
  );

  test("--privileged lifts masks and read-only paths", async () => {
    expect(await shell("wc -l </proc/interrupts", "--privileged")).not.toBe("0");
    const mounts = await mountsOf("--privileged");
    expect(mounts.some(({ target }) => target.startsWith("/proc/"))).toBe(false);
    expect(mounts.find(({ target }) => target === "/sys")?.options).toContain("rw");
  });

  test("a container's root cannot mount, and so not undo any of it", async () => {
    const { exitCode, err } = await engine.run([
      "busybox",
      "sh",
      "-c",
      "mount -t tmpfs x /mnt || umount /proc/acpi || mount -o remount,rw /sys",
    ]);
    expect(exitCode).not.toBe(0);
    expect(err).toContain("ermission denied");
  });
});

describe("--read-only", () => {
  test("keeps the root as it is, but not tmpfs and volumes", async () => {
    const { out, err } = await engine.run([
      "--read-only",
      "--tmpfs",
      "/tmp",
      "busybox",
      "sh",
      "-c",
      "touch /x; touch /etc/x; touch /tmp/x && ls /tmp; echo x >/dev/shm/x && cat /dev/shm/x; echo x >/dev/null && echo null",
    ]);
    expect(out).toBe("x\nx\nnull");
    expect(err.split("\n")).toEqual([
      "touch: /x: Read-only file system",
      "touch: /etc/x: Read-only file system",
    ]);
  });
});

describe("a root file system that means ill", () => {
  test("does not lead writes to the host through its links", async () => {
    const canary = engine.directory("canary");
    const folder = engine.directory("hostile");
    await engine.bash(`"$MYDOCKER" run --rm -v '${folder}:/out' busybox cp -a /bin /out`);
    for (const name of ["etc", "dev", "sys"]) symlinkSync(canary, join(folder, name));
    mkdirSync(join(folder, "proc"));
    const { exitCode, out } = await engine.run([
      "--rootfs",
      folder,
      "-v",
      `${engine.directory("vol")}:/etc/deep/vol`,
      "sh",
      "-c",
      "echo in",
    ]);
    // Running inside with the links resolved in its own root, or refusing, is right; touching the host is not.
    expect([0, 125]).toContain(exitCode as number);
    if (exitCode === 0) expect(out).toBe("in");
    expect(readdirSync(canary)).toEqual([]);
  });

  test("may be without any of the directories that are mounted on", async () => {
    const folder = engine.directory("bare");
    await engine.bash(`"$MYDOCKER" run --rm -v '${folder}:/out' busybox cp /bin/busybox /out/sh`);
    const { exitCode, out, err } = await engine.run([
      "--rootfs",
      folder,
      "/sh",
      "-c",
      "echo /* /dev/null",
    ]);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(out).toBe("/dev /etc /proc /sh /sys /dev/null");
    expect(readdirSync(folder)).toEqual(["sh"]);
  });
});

testIf([program("unshare")], "a file system that cannot stack overlays is named", async () => {
  const folder = engine.directory("stack");
  const { exitCode, err } = await engine.bash(`exec unshare -m bash -ec '
    cd "$1"; mkdir -p lower upper work merged
    mount -t tmpfs tmpfs upper; mkdir upper/u upper/w
    mount -t overlay overlay -o lowerdir=lower,upperdir=upper/u,workdir=upper/w merged
    export MYDOCKER_ROOT=$PWD/merged/root MYDOCKER_RUN=$PWD/merged/run
    exec "$MYDOCKER" run --rm busybox true' - '${folder}'`);
  expect(exitCode).toBe(125);
  expect(err).toContain("overlay");
  expect(err).toContain(join(folder, "merged"));
});

test("hosts, hostname and resolv.conf are the container's own, and writable", async () => {
  const before = readFileSync("/etc/hosts", "utf8");
  const out = await shell(
    "cat /etc/hosts; echo 10.0.0.1 added >>/etc/hosts; tail -1 /etc/hosts; cat /etc/resolv.conf >/dev/null && echo resolv",
  );
  expect(out).toMatch(/^127\.0\.0\.1\s+localhost/);
  expect(out.split("\n").slice(-2)).toEqual(["10.0.0.1 added", "resolv"]);
  expect(readFileSync("/etc/hosts", "utf8")).toBe(before);
});

leavesNothingBehind(engine);
