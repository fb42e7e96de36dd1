import { describe, expect, test } from "bun:test";
import { type CgroupFacts, cgroupControllers, cgroupLayout } from "./cgroups.ts";
import { type CheckOf, defineCheck, type Finding, failure, ok } from "./check.ts";
import { clock } from "./clock.ts";
import { seccomp, securityModules } from "./confinement.ts";
import { diagnose } from "./doctor.ts";
import { idMappedMounts } from "./id_mapped_mounts.ts";
import { kernelConfig, kernelVersion, parseKernelConfig } from "./kernel.ts";
import { limits, rootKeys } from "./limits.ts";
import { type NamespaceFacts, namespaces } from "./namespaces.ts";
import { firewall, forwarding } from "./network.ts";
import { type OverlayFacts, overlay } from "./overlay.ts";
import { privileges } from "./privileges.ts";
import { type StateDirectory, stateDirectories } from "./space.ts";
import { mountsBelow, staleState } from "./stale.ts";
import { subordinateIds } from "./subordinate_ids.ts";
import { trialRun } from "./trial.ts";

const PATHS = { root: "/state", run: "/run/state" };

/** What is not well: `status name: found → fix`. */
function problems<F>(check: CheckOf<F>, facts: F): string[] {
  return check.judge(facts).flatMap(({ status, name, found, fix }) => {
    expect(fix === undefined).toBe(status === "ok");
    return status === "ok" ? [] : [`${status} ${name}: ${found} → ${fix}`];
  });
}

/** One problem, which matches. */
function expectProblem<F>(check: CheckOf<F>, facts: F, pattern: RegExp): void {
  const found = problems(check, facts);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(pattern);
}

describe("the kernel", () => {
  test.each([
    ["6.18.44-fc-v769", undefined],
    ["6.1.0-29-amd64", undefined],
    ["5.14.0", undefined],
    ["5.13.19", "warning"],
    ["5.12.0-rc1", "warning"],
    ["5.11.22", "failure"],
    ["4.19.0", "failure"],
    ["3.10.0-1160.el7.x86_64", "failure"],
  ])("%s is %p", (release, status) => {
    expect(kernelVersion.judge(release).map((each) => each.status)).toEqual([
      (status ?? "ok") as Finding["status"],
    ]);
  });

  const ALL = kernelConfigText();
  const without = (name: string) => ({
    from: "/boot/config-6",
    config: parseKernelConfig(ALL.replace(`CONFIG_${name}=y`, `# CONFIG_${name} is not set`)),
  });

  test("that has every option has no problem", () => {
    expect(problems(kernelConfig, without("NOTHING"))).toEqual([]);
  });

  test("without overlayfs runs nothing, without veth has no bridge networks", () => {
    expectProblem(
      kernelConfig,
      without("OVERLAY_FS"),
      /^failure CONFIG_OVERLAY_FS: not set in \/boot\/config-6/,
    );
    expectProblem(kernelConfig, without("VETH"), /^warning CONFIG_VETH/);
  });

  test("whose options nobody tells is no problem", () => {
    expect(problems(kernelConfig, undefined)).toEqual([]);
  });

  /** As many options as the check asks for: it names them when there are none. */
  function kernelConfigText(): string {
    return kernelConfig
      .judge({ from: "nowhere", config: new Map() })
      .map(({ name }) => `${name}=y`)
      .join("\n");
  }
});

describe("cgroups", () => {
  const V2: CgroupFacts = {
    mode: "v2",
    mountPoints: ["/sys/fs/cgroup"],
    controllers: ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"],
    innerProcesses: 0,
  };

  test("of v2 with all controllers are well", () => {
    expect(problems(cgroupLayout, V2)).toEqual([]);
    expect(problems(cgroupControllers, V2)).toEqual([]);
  });

  test("that are not mounted, hidden or read-only are a failure with the way out", () => {
    const none: CgroupFacts = { mode: "none", mountPoints: [], controllers: [], innerProcesses: 0 };
    expectProblem(cgroupLayout, none, /^failure .*mount -t cgroup2 cgroup2 \/sys\/fs\/cgroup/);
    expect(problems(cgroupControllers, none)).toEqual([]);
    const hidden = { ...V2, unusable: "/sys/fs/cgroup is not a cgroup v2 file system" };
    expectProblem(cgroupLayout, hidden, /^failure .*unmount what hides it/);
    const readOnly = { ...V2, unusable: "/sys/fs/cgroup is mounted read-only" };
    expectProblem(cgroupLayout, readOnly, /^failure .*mount -o remount,rw \/sys\/fs\/cgroup`/);
  });

  test("that lack a controller say what does not work without it", () => {
    const controllers = V2.controllers.filter((name) => name !== "memory");
    expectProblem(
      cgroupControllers,
      { ...V2, controllers },
      /^warning cgroup controller memory.*cgroup_enable=memory/,
    );
  });

  test("of v1 without devices run nothing: a container would have all of them", () => {
    const controllers = [
      "memory",
      "cpu",
      "cpuacct",
      "cpuset",
      "pids",
      "blkio",
      "freezer",
      "hugetlb",
    ];
    const v1: CgroupFacts = {
      mode: "hybrid",
      mountPoints: ["/a", "/b"],
      controllers,
      innerProcesses: 0,
    };
    expectProblem(
      cgroupControllers,
      v1,
      /^failure cgroup controller devices.*mount -t cgroup -o devices/,
    );
    expect(
      problems(cgroupControllers, { ...v1, controllers: [...controllers, "devices"] }),
    ).toEqual([]);
  });

  test("that hold processes themselves hand nothing down", () => {
    expectProblem(
      cgroupControllers,
      { ...V2, innerProcesses: 3 },
      /^warning cgroup delegation: 3 processes/,
    );
  });
});

describe("namespaces", () => {
  const works = { outcome: { works: true }, limit: 1000 } as const;
  const refused = (code: string, limit: number) =>
    ({ outcome: { works: false, code, message: `clone: ${code}` }, limit }) as const;
  const WELL: NamespaceFacts = { mount: works, pid: works, network: works, user: works };

  test("of all kinds are well", () => {
    expect(problems(namespaces, WELL)).toEqual([]);
  });

  test("that the limit forbids are a failure if each container has one", () => {
    expectProblem(
      namespaces,
      { ...WELL, network: refused("ENOSPC", 0) },
      /^failure network.*max_net_namespaces=/,
    );
    expectProblem(
      namespaces,
      { ...WELL, user: refused("ENOSPC", 0) },
      /^warning user.*max_user_namespaces=/,
    );
    expectProblem(
      namespaces,
      { ...WELL, pid: { ...works, limit: 3 } },
      /^warning pid.*no more than 3/,
    );
  });

  test("that somebody forbids say by which parameters", () => {
    expectProblem(
      namespaces,
      { ...WELL, user: refused("EPERM", 1000) },
      /^warning user.*unprivileged_userns_clone/,
    );
    expectProblem(
      namespaces,
      { ...WELL, mount: refused("EINVAL", 1) },
      /^failure mount.*kernel that is built with/,
    );
  });
});

test("privileges: without CAP_SYS_ADMIN nothing runs, without CAP_SYS_RESOURCE some options fail", () => {
  const all = [
    ...["SYS_ADMIN", "SYS_CHROOT", "NET_ADMIN", "MKNOD", "SETUID", "SETGID", "SETPCAP"],
    ...["DAC_OVERRIDE", "CHOWN", "SYS_RESOURCE"],
  ].map((name) => `CAP_${name}`);
  const without = (name: string) => all.filter((each) => each !== name);
  expect(problems(privileges, all)).toEqual([]);
  expectProblem(privileges, without("CAP_SYS_ADMIN"), /^failure .*without CAP_SYS_ADMIN →/);
  expectProblem(privileges, without("CAP_SYS_RESOURCE"), /^warning CAP_SYS_RESOURCE: not held/);
});

describe("subuid and subgid", () => {
  const file = "# ids\nann:100000:65536\nbob:165536:65536\n";

  test("with a range for the caller, by name or number, are well", () => {
    expect(
      problems(subordinateIds, { users: ["bob", "1001"], subuid: file, subgid: file }),
    ).toEqual([]);
    expect(
      problems(subordinateIds, { users: ["x", "7"], subuid: "7:1:65536", subgid: "7:1:65536" }),
    ).toEqual([]);
  });

  test("without one say by which command there is one", () => {
    const [subuid, subgid] = problems(subordinateIds, { users: ["root", "0"], subgid: file });
    expect(subuid).toMatch(/no \/etc\/subuid → .*usermod --add-subuids 100000-165535 root/);
    expect(subgid).toMatch(/no range for root → .*--add-subgids/);
  });

  test("whose ranges overlap, or are short, are a problem", () => {
    expectProblem(
      subordinateIds,
      { users: ["ann"], subuid: "ann:100000:65536\nbob:165535:9\n", subgid: file },
      /ann and bob both have 165535/,
    );
    expectProblem(
      subordinateIds,
      { users: ["ann"], subuid: "ann:100000:1000\n", subgid: file },
      /only 1000 ids for ann/,
    );
  });
});

describe("overlay", () => {
  const works = { works: true } as const;
  const refused = (code: string) =>
    ({ works: false, code, message: `mount overlay: ${code}` }) as const;
  const WELL: OverlayFacts = {
    plain: works,
    features: { metacopy: works, index: works },
    inUserNamespace: works,
    root: "/state",
  };

  test("is well, or is not there at all", () => {
    expect(problems(overlay, WELL)).toEqual([]);
    expectProblem(
      overlay,
      { ...WELL, plain: refused("ENODEV") },
      /^failure overlay.*modprobe overlay/,
    );
    expectProblem(overlay, { ...WELL, plain: refused("EPERM") }, /^failure overlay.*sandbox/);
  });

  test("without a feature, in user namespaces or on NFS is a warning", () => {
    expectProblem(
      overlay,
      { ...WELL, features: { ...WELL.features, metacopy: refused("EINVAL") } },
      /^warning overlay features: without metacopy/,
    );
    expectProblem(
      overlay,
      { ...WELL, inUserNamespace: refused("EPERM") },
      /^warning overlay in user namespaces/,
    );
    expectProblem(
      overlay,
      { ...WELL, unfit: "NFS" },
      /^warning .*\/state is on NFS → set MYDOCKER_ROOT/,
    );
  });
});

test("ID-mapped mounts: a file system that has none is a warning, since --userns private needs them", () => {
  expect(problems(idMappedMounts, { root: "/state", outcome: { works: true } })).toEqual([]);
  const outcome = { works: false, code: "EINVAL", message: "mount_setattr: EINVAL" } as const;
  expectProblem(
    idMappedMounts,
    { root: "/state", outcome },
    /^warning ID-mapped.*Linux 6.3 or newer/,
  );
});

test("seccomp: no filters is a failure, no notifications a warning", () => {
  expect(problems(seccomp, "kill_process trap errno user_notif trace log allow\n")).toEqual([]);
  expectProblem(
    seccomp,
    "kill_process trap errno trace log allow\n",
    /^warning .*without notifications/,
  );
  expectProblem(seccomp, undefined, /^failure .*CONFIG_SECCOMP_FILTER/);
});

test("security modules: SELinux that enforces is a warning", () => {
  expect(problems(securityModules, { apparmor: true })).toEqual([]);
  expect(problems(securityModules, { apparmor: false, selinux: "permissive" })).toEqual([]);
  expectProblem(
    securityModules,
    { apparmor: false, selinux: "enforcing" },
    /^warning SELinux: enforcing/,
  );
});

test("nftables: the old ip_tables do not stand in for it", () => {
  expect(problems(firewall, { legacy: true })).toEqual([]);
  expectProblem(
    firewall,
    { legacy: true, nfTables: "EPROTONOSUPPORT" },
    /only the old ip_tables.*modprobe nf_tables/,
  );
  expectProblem(firewall, { legacy: false, nfTables: "EINVAL" }, /neither nf_tables nor ip_tables/);
});

test("forwarding: what is off says how it is switched on, what is not there how it is loaded", () => {
  expect(problems(forwarding, { ipv4: "1", ipv6: "1", bridge: "1" })).toEqual([]);
  expect(problems(forwarding, { ipv4: "1", bridge: "1" })).toEqual([]);
  expectProblem(
    forwarding,
    { ipv4: "0", ipv6: "1", bridge: "1" },
    /^warning IPv4.*sysctl -w net.ipv4.ip_forward=1/,
  );
  expectProblem(forwarding, { ipv4: "1", ipv6: "0", bridge: "1" }, /^warning IPv6/);
  expectProblem(
    forwarding,
    { ipv4: "1", ipv6: "1" },
    /^warning bridge netfilter.*modprobe br_netfilter/,
  );
});

describe("limits", () => {
  const WELL = {
    inotifyInstances: 128,
    inotifyWatches: 65536,
    keys: { used: 9, max: 1_000_000 },
    openFiles: 1024,
    pidMax: 32768,
  };

  test("as the kernel sets them are well, and so is a kernel without keys and inotify", () => {
    expect(problems(limits, WELL)).toEqual([]);
    expect(problems(limits, { openFiles: 1024, pidMax: 32768 })).toEqual([]);
  });

  test("that are low are told", () => {
    expectProblem(
      limits,
      { ...WELL, inotifyInstances: 8 },
      /^warning inotify instances: 8, .*max_user_instances/,
    );
    expectProblem(limits, { ...WELL, inotifyWatches: 8 }, /^warning inotify watches/);
    expectProblem(limits, { ...WELL, openFiles: 20 }, /^warning open files: 20, .*ulimit -n/);
    expectProblem(limits, { ...WELL, pidMax: 301 }, /^warning process numbers/);
  });

  test("of keys are a failure when there is no other key", () => {
    expectProblem(
      limits,
      { ...WELL, keys: { used: 150, max: 200 } },
      /^warning keyrings: 150 of 200 used/,
    );
    expectProblem(
      limits,
      { ...WELL, keys: { used: 200, max: 200 } },
      /^failure keyrings.*root_maxkeys/,
    );
  });

  test("of keys are read from root's line", () => {
    const text = "    0:    12 11/11 9/1000000 180/25000000\n 1000:     1 1/1 2/200 9/20000\n";
    expect(rootKeys(text)).toEqual({ used: 9, max: 1_000_000 });
    expect(rootKeys(" 1000:     1 1/1 2/200 9/20000\n")).toBeUndefined();
  });
});

describe("state directories", () => {
  const usage = { size: 1e12, free: 1e11, inodes: 1e7, freeInodes: 1e6, readOnly: false };
  const WELL: StateDirectory = { path: "/state", mode: 0o700, uid: 0, usage };
  const run: StateDirectory = { path: "/run/state", usage };
  const broken = (part: Partial<StateDirectory>) => ({ root: { ...WELL, ...part }, run });

  test("with room, root's alone, or yet to be made are well", () => {
    expect(problems(stateDirectories, broken({}))).toEqual([]);
    expect(
      problems(stateDirectories, broken({ usage: { ...usage, inodes: 0, freeInodes: 0 } })),
    ).toEqual([]);
  });

  test("that cannot be written to are a failure", () => {
    expectProblem(
      stateDirectories,
      broken({ usage: { ...usage, readOnly: true } }),
      /^failure .*read-only.*MYDOCKER_ROOT/,
    );
    expectProblem(stateDirectories, broken({ otherFile: true }), /^failure .*is no directory/);
    expectProblem(
      stateDirectories,
      broken({ usage: { ...usage, free: 0 } }),
      /^failure state root: space: 0 MiB free/,
    );
    expectProblem(
      stateDirectories,
      broken({ usage: { ...usage, freeInodes: 3 } }),
      /^failure state root: inodes: 3 free/,
    );
  });

  test("that fill up, or that others can look into, are a warning", () => {
    expectProblem(
      stateDirectories,
      broken({ usage: { ...usage, free: 5e6 } }),
      /^warning state root: space/,
    );
    expectProblem(
      stateDirectories,
      broken({ mode: 0o755 }),
      /^warning state root: \/state has mode 755 → .*chmod 700/,
    );
    expectProblem(stateDirectories, broken({ uid: 1000 }), /belongs to uid 1000/);
  });
});

test("clock: before a file's last change it is wrong", () => {
  const now = Date.UTC(2026, 1, 1) / 1000;
  expect(
    problems(clock, { now, changes: { "/state": now - 5, "/bin/mydocker": now + 30 } }),
  ).toEqual([]);
  expectProblem(
    clock,
    { now: 0, changes: { "/state": now } },
    /it is 1970-01-01T00:00:00 UTC, but \/state was changed at 2026-02-01/,
  );
});

describe("stale state", () => {
  const NONE = { orphans: [], damaged: [], mounts: [], cgroups: [], staged: [] };
  const id = "0123456789ab".padEnd(64, "0");

  test("is named with the command that removes it", () => {
    expect(problems(staleState, NONE)).toEqual([]);
    expectProblem(staleState, { ...NONE, orphans: [id] }, /left: 0123456789ab → `mydocker ps`/);
    expectProblem(staleState, { ...NONE, damaged: [id] }, /mydocker rm -f 0123456789ab`/);
    expectProblem(
      staleState,
      { ...NONE, staged: ["x"] },
      /half made images: x → `mydocker images`/,
    );
    expectProblem(
      staleState,
      { ...NONE, mounts: ["/state/a", "/state/a/b"] },
      /`umount \/state\/a\/b \/state\/a`/,
    );
    const cgroups = ["/c/cpu/mydocker", "/c/pids/mydocker"].map((parent) => `${parent}/${id}`);
    expectProblem(
      staleState,
      { ...NONE, cgroups },
      /no container: 0123456789ab → .*`rmdir \/c\/cpu\/mydocker\/\*\/ \/c\/pids\/mydocker\/\*\/`/,
    );
  });

  test("of mounts is what is below the directories", () => {
    const line = (point: string) => `1 2 0:3 / ${point} rw - tmpfs tmpfs rw`;
    const mountinfo = ["/state", "/state/x", "/statement", "/run/state/y"].map(line).join("\n");
    expect(mountsBelow(["/state", "/run/state"], mountinfo)).toEqual(["/state/x", "/run/state/y"]);
  });
});

test("trial run: what run said is told", () => {
  expect(problems(trialRun, { exitCode: 0, said: "mydocker: warning: x" })).toEqual([]);
  expectProblem(
    trialRun,
    { exitCode: 125, said: "mydocker: no room" },
    /^failure .* ended with 125: no room →/,
  );
  expectProblem(trialRun, { exitCode: null, said: "" }, /did not end within 60 seconds/);
});

describe("a diagnosis", () => {
  const of = (finding: Finding) =>
    defineCheck({ name: "x", why: "y", read: () => finding, judge: (each) => [each] });

  test("is good unless there is a failure", () => {
    expect(diagnose(PATHS, [of(ok("a", "b", "c"))]).works).toBe(true);
    const { works, checks } = diagnose(PATHS, [
      of(ok("a", "b", "c")),
      of(failure("d", "e", "f", "g")),
    ]);
    expect(works).toBe(false);
    expect(checks.map(({ name }) => name)).toEqual(["a", "d"]);
  });

  test("goes on where a check cannot read its facts", () => {
    const blind = defineCheck({
      name: "blind",
      why: "y",
      read: () => {
        throw new Error("no /proc");
      },
      judge: () => [],
    });
    const { works, checks } = diagnose(PATHS, [blind, of(ok("a", "b", "c"))]);
    expect(works).toBe(true);
    expect(checks[0]).toMatchObject({
      name: "blind",
      status: "warning",
      found: "cannot be looked at: no /proc",
    });
  });
});
