/** doctor, with taken away what only a whole machine can do without. */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";

const engine = useEngine();

interface Finding {
  readonly name: string;
  readonly status: string;
  readonly found: string;
}

async function diagnose() {
  const { out, exitCode } = await engine.call(["doctor", "--json"]);
  const { works, checks } = JSON.parse(out) as { works: boolean; checks: Finding[] };
  const run = await engine.run(["--network", "none", "busybox", "true"]);
  // What it says of run is so.
  expect([works, exitCode]).toEqual(run.exitCode === 0 ? [true, 0] : [false, 1]);
  return { works, lines: checks.map(({ status, name, found }) => `${status} ${name}: ${found}`) };
}

/** Sets a kernel parameter for as long as something is done. */
async function having(parameter: string, value: string, act: () => Promise<void>): Promise<void> {
  const path = `/proc/sys/${parameter.replaceAll(".", "/")}`;
  const before = readFileSync(path, "utf8");
  writeFileSync(path, value);
  try {
    await act();
  } finally {
    writeFileSync(path, before);
  }
}

test("on Debian's kernel with cgroup v2 all that containers need is there", async () => {
  const { works, lines } = await diagnose();
  expect(works).toBe(true);
  expect(lines).toContain("ok cgroup layout: v2, at /sys/fs/cgroup");
  for (const name of ["cpu", "cpuset", "io", "memory", "pids"])
    expect(lines).toContain(`ok cgroup controller ${name}: there`);
  expect(lines.filter((line) => line.startsWith("ok kernel options: all there"))).toHaveLength(1);
  expect(lines).toContain("ok overlay in user namespaces: can be mounted");
  expect(lines).toContainEqual(expect.stringMatching(/^ok AppArmor: on/));
});

test("what --userns private needs of a file system is found missing where it is", async () => {
  const folder = engine.directory("tmpfs");
  const env = { MYDOCKER_ROOT: join(folder, "root"), MYDOCKER_RUN: join(folder, "run") };
  expect(Bun.spawnSync(["mount", "-t", "tmpfs", "tmpfs", folder]).exitCode).toBe(0);
  try {
    const { out } = await engine.call(["doctor", "--json"], { env });
    const found = JSON.parse(out).checks.find(({ name }: Finding) => name === "ID-mapped mounts");
    const run = await engine.run(["--userns", "private", "busybox", "true"], { env });
    expect(`${found.status} ${run.err}`).toMatch(
      run.exitCode === 0 ? /^ok $/ : /^warning mydocker: /,
    );
  } finally {
    Bun.spawnSync(["umount", folder]);
  }
});

describe("a low limit is found:", () => {
  test.each([
    [
      "user.max_net_namespaces",
      "0",
      "failure network namespaces: no more than 0 may be there",
      false,
    ],
    [
      "user.max_mnt_namespaces",
      "0",
      "failure mount namespaces: no more than 0 may be there",
      false,
    ],
    ["user.max_user_namespaces", "0", "warning user namespaces: no more than 0 may be there", true],
    ["user.max_pid_namespaces", "20", "warning pid namespaces: no more than 20 may be there", true],
    ["fs.inotify.max_user_instances", "8", "warning inotify instances: 8, fewer than 128", true],
    ["fs.inotify.max_user_watches", "100", "warning inotify watches: 100, fewer than 8192", true],
    ["net.ipv4.ip_forward", "0", "warning IPv4 forwarding: off", true],
    ["net.ipv4.ip_forward", "1", "ok IPv4 forwarding: on", true],
    ["net.bridge.bridge-nf-call-iptables", "0", "warning bridge netfilter: off", true],
  ])("%s of %s", async (parameter, value, says, works) => {
    await having(parameter, value, async () => {
      const diagnosis = await diagnose();
      expect(diagnosis.lines).toContain(says);
      expect(diagnosis.works).toBe(works);
    });
  });

  test("kernel.keys.root_maxkeys of fewer than there are", async () => {
    await having("kernel.keys.root_maxkeys", "1", async () => {
      const { works, lines } = await diagnose();
      expect(works).toBe(false);
      expect(lines).toContainEqual(expect.stringMatching(/^failure keyrings: \d+ of \d+ used$/));
    });
  });
});

test("a kernel without overlayfs and nf_tables, whose modules are gone, runs nothing", async () => {
  const shell = (script: string) => Bun.spawnSync(["sh", "-c", script]).exitCode;
  expect(
    shell(
      "modprobe -r br_netfilter nf_tables; modprobe -r overlay && mount -t tmpfs tmpfs /usr/lib/modules",
    ),
  ).toBe(0);
  try {
    const { works, lines } = await diagnose();
    expect(works).toBe(false);
    expect(lines).toContainEqual(expect.stringMatching(/^failure overlay: .*ENODEV/));
    expect(lines).toContainEqual(expect.stringMatching(/^warning nftables: /));
    expect(lines).toContainEqual(expect.stringMatching(/^warning bridge netfilter: there is no/));
    expect(lines).toContainEqual(expect.stringMatching(/^ok kernel options: unknown/));
  } finally {
    expect(shell("umount /usr/lib/modules && modprobe -a overlay nf_tables br_netfilter")).toBe(0);
  }
});

leavesNothingBehind(engine);
