/** Table of what is run in the virtual machine, where everything takes 10 to 20 times as long: chosen, not all. */

/** Test files by path, each with a pattern of the tests to run; empty: all. */
export const PARTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  cgroups: {
    "test/integration/cgroups_module.test.ts": "",
    "test/integration/cgroup_operations.test.ts": "",
    "test/integration/cgroup_devices.test.ts": "",
    "test/integration/cgroup_oci.test.ts": "",
    "test/integration/cgroup_limits.test.ts": "set|137|there|left behind",
    "test/integration/into_cgroup.test.ts": "",
    "test/integration/life_stats.test.ts": "newest",
    "test/vm/v2.test.ts": "",
    "test/vm/systemd.test.ts": "",
    "test/vm/boot.test.ts": "",
  },
  doctor: {
    "test/integration/doctor.test.ts": "this machine|cgroups|stale|left behind",
    "test/vm/doctor.test.ts": "",
  },
  isolation: {
    "test/integration/security.test.ts": "",
    "test/integration/seccomp_module.test.ts": "",
    "test/integration/namespaces.test.ts": "",
  },
  run: {
    "test/integration/run_basic.test.ts": "",
    "test/integration/mounts.test.ts": "",
    "test/integration/user_namespace.test.ts": "",
  },
  lifecycle: {
    "test/integration/life.test.ts":
      "prints|on record|--rm|created it has|again|stop sends|kill -s|unpaused|new name|inspect has",
    "test/integration/life_exec.test.ts": "it has the|streams|-it|nobody on",
    "test/integration/life_update.test.ts": "at once|taken away",
    "test/integration/volumes.test.ts": "filled|goes with",
  },
  network: {
    "test/integration/network_bridge.test.ts":
      "first address|reaches another machine|other containers|UDP|in use|given back|many start",
    "test/integration/network_user.test.ts": "found by|come and go|do not reach|an internal",
  },
  oci: {
    "test/oci/lifecycle.test.ts": "",
    "test/oci/config.test.ts": "",
  },
};

/** The files that one of the words is about: a part's name, or something in the path. Without words all. */
export function chosen(words: readonly string[]): [file: string, pattern: string][] {
  return Object.entries(PARTS).flatMap(([part, files]) =>
    Object.entries(files).filter(
      ([file]) => words.length === 0 || words.some((word) => word === part || file.includes(word)),
    ),
  );
}
