/** Each namespace, proved from inside, and what sharing one with the host changes. */

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { isUnified } from "../helpers/container_facts.ts";
import { program, testIf } from "../helpers/requires.ts";

const engine = useEngine();

/** The container's namespaces by type, as inode texts. */
async function namespaces(...options: string[]): Promise<Record<string, string>> {
  const script =
    "for n in pid mnt uts ipc net cgroup user; do echo $n $(readlink /proc/self/ns/$n); done";
  const { out } = await engine.run([...options, "busybox", "sh", "-c", script]);
  return Object.fromEntries(out.split("\n").map((line) => line.split(" ") as [string, string]));
}

const hostNamespace = (type: string) => readlinkSync(`/proc/self/ns/${type}`);

test("pid, mount, uts, ipc and network namespaces are the container's own", async () => {
  const own = await namespaces();
  for (const type of ["pid", "mnt", "uts", "ipc", "net"]) {
    expect(own[type]).toMatch(/^[a-z]+:\[\d+\]$/);
    expect([type, own[type]]).not.toEqual([type, hostNamespace(type)]);
  }
  expect(own["user"]).toBe(hostNamespace("user"));
});

test("the cgroup namespace is its own with version 2, and the host's with version 1", async () => {
  const own = await namespaces();
  expect(own["cgroup"] === hostNamespace("cgroup")).toBe(!isUnified);
});

test.each([
  ["--pid", "pid"],
  ["--ipc", "ipc"],
  ["--uts", "uts"],
  ["--network", "net"],
])("%s host shares that namespace only", async (option, type) => {
  const shared = await namespaces(option, "host");
  for (const each of ["pid", "mnt", "uts", "ipc", "net"]) {
    expect([each, shared[each] === hostNamespace(each)]).toEqual([each, each === type]);
  }
});

test("two containers that run at once share none", async () => {
  const script =
    "for n in pid mnt uts ipc net; do readlink /proc/self/ns/$n; done; echo ready; cat";
  const both = [1, 2].map(() => engine.start(["run", "--rm", "-i", "busybox", "sh", "-c", script]));
  const [one, two] = await Promise.all(both.map((running) => running.waitForOutput(/ready/)));
  for (const running of both) running.stdin.end();
  await Promise.all(both.map((running) => running.end()));
  const all = `${one}\n${two}`.split("\n").filter((line) => line.includes(":["));
  expect(all).toHaveLength(10);
  expect(new Set(all).size).toBe(10);
});

describe("the host name", () => {
  test("is the first twelve digits of the id", async () => {
    const { out } = await engine.run([
      "busybox",
      "sh",
      "-c",
      "hostname; cat /etc/hostname; echo $HOSTNAME",
    ]);
    const [name, file, variable] = out.split("\n");
    expect(name).toMatch(/^[0-9a-f]{12}$/);
    expect([file, variable]).toEqual([name, name]);
  });

  test("is the one asked for, and leaves the host's alone", async () => {
    const before = hostname();
    const { out } = await engine.run([
      "--hostname",
      "box.example",
      "busybox",
      "sh",
      "-c",
      "hostname; cat /etc/hostname",
    ]);
    expect(out).toBe("box.example\nbox.example");
    expect(hostname()).toBe(before);
    expect((await engine.run(["-h", "short", "busybox", "hostname"])).out).toBe("short");
  });

  test("is the host's with --uts host", async () => {
    expect((await engine.run(["--uts", "host", "busybox", "hostname"])).out).toBe(hostname());
  });
});

describe("the network", () => {
  test("has a loopback that is up and answers, and nothing else", async () => {
    for (const options of [[], ["--network", "none"], ["--net", "none"], ["-net", "none"]]) {
      const { out } = await engine.run([
        ...options,
        "busybox",
        "sh",
        "-c",
        "ls /sys/class/net; ip link | head -1; ping -c 1 -W 2 127.0.0.1 | grep -c '1 packets received'",
      ]);
      const [names, link, received] = out.split("\n");
      expect(names).toBe("lo");
      expect(link).toMatch(/^1: lo: <LOOPBACK,UP,LOWER_UP>/);
      expect(received).toBe("1");
    }
  });

  test("is the host's with --network host", async () => {
    const { out } = await engine.run([
      "--network",
      "host",
      "busybox",
      "sh",
      "-c",
      "sed -n 's/^ *\\([^ :]*\\):.*/\\1/p' /proc/net/dev",
    ]);
    expect(out.split("\n").sort()).toEqual(readdirSync("/sys/class/net").sort());
  });

  test("that does not exist is refused", async () => {
    const { exitCode, err } = await engine.run(["--network", "no-such", "busybox", "true"]);
    expect(exitCode).toBe(125);
    expect(err).toContain("no-such");
  });

  test("lets everybody ping and bind low ports", async () => {
    const { out } = await engine.run([
      "busybox",
      "sh",
      "-c",
      "cat /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_unprivileged_port_start",
    ]);
    expect(out).toBe("0\t2147483647\n0");
    const pinged = await engine.run([
      "-u",
      "nobody",
      "busybox",
      "sh",
      "-c",
      "nc -l -p 80 -e true & sleep 0.2; echo | nc 127.0.0.1 80; wait $!",
    ]);
    expect(pinged).toMatchObject({ exitCode: 0, err: "" });
  });
});

test("--pid host shows the host's processes", async () => {
  const { out } = await engine.run([
    "--pid",
    "host",
    "busybox",
    "cat",
    `/proc/${process.pid}/comm`,
  ]);
  expect(out).toBe(readFileSync("/proc/self/comm", "utf8").trimEnd());
});

test("System V and POSIX message queues are the container's own", async () => {
  const { out } = await engine.run([
    "busybox",
    "sh",
    "-c",
    "ipcs -q | grep -c 0x; ls -A /dev/mqueue | wc -l; touch /dev/mqueue/q && ls /dev/mqueue",
  ]);
  expect(out).toBe("0\n0\nq");
});

describe("--sysctl", () => {
  test("sets the container's, not the host's", async () => {
    const file = "/proc/sys/net/ipv4/ip_default_ttl";
    const before = readFileSync(file, "utf8");
    const { out } = await engine.run([
      "--sysctl",
      "net.ipv4.ip_default_ttl=33",
      "--sysctl",
      "kernel.msgmax=4096",
      "busybox",
      "cat",
      file,
      "/proc/sys/kernel/msgmax",
    ]);
    expect(out).toBe("33\n4096");
    expect(readFileSync(file, "utf8")).toBe(before);
  });

  test("refuses what is not in a namespace of the container's", async () => {
    const refused = await engine.run(["--sysctl", "kernel.panic=1", "busybox", "true"]);
    expect(refused.exitCode).toBe(125);
    expect(refused.err).toContain("kernel.panic");
    const shared = await engine.run([
      "--network",
      "host",
      "--sysctl",
      "net.ipv4.ip_forward=1",
      "busybox",
      "true",
    ]);
    expect(shared.exitCode).toBe(125);
    expect(shared.err).toContain("net.ipv4.ip_forward");
  });

  test("names the one that the kernel refuses", async () => {
    const { exitCode, err } = await engine.run([
      "--sysctl",
      "net.ipv4.ip_default_ttl=100000",
      "busybox",
      "true",
    ]);
    expect(exitCode).toBe(125);
    expect(err).toContain("ip_default_ttl");
    expect(err).toContain("invalid argument");
  });
});

// A chroot's directory is no mount, whose propagation could be changed (mount(2), EINVAL).
testIf([program("unshare")], "in a chroot it runs, or says what the chroot lacks", async () => {
  const directory = engine.directory("chroot");
  const run = (prepare: string) =>
    engine.bash(`exec unshare -m --propagation private bash -ec '
      cd ${directory}; ${prepare}; cd ${directory}
      mkdir -p bin dev lib lib64 proc run sys tmp var
      for part in dev lib lib64 proc sys; do mount --rbind /$part $part; done
      for part in run tmp var; do mount -t tmpfs tmpfs $part; done
      cp --reflink=auto "$MYDOCKER" bin/mydocker
      unset MYDOCKER_ROOT MYDOCKER_RUN
      exec chroot . /bin/mydocker run --rm --network none busybox echo here'`);
  const without = await run("true");
  expect(without).toMatchObject({ exitCode: 125, out: "" });
  expect(without.err).toContain("the root directory is that of a chroot and no mount");
  const mounted = await run(`mount --bind ${directory} ${directory}`);
  expect(mounted).toMatchObject({ exitCode: 0, out: "here", err: "" });
});

leavesNothingBehind(engine);
