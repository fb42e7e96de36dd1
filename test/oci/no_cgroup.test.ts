/** `--cgroup-manager disabled`: containers that stay in the cgroups of whoever makes them. */

import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { type Config, OciRuntime } from "../helpers/oci_runtime.ts";
import { program, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();
const oci = new OciRuntime(engine);
const call = (...args: string[]) => oci.call(["--cgroup-manager", "disabled", ...args]);
const unlimited = (config: Config) => {
  delete config.linux.resources;
};

afterEach(() => oci.remove("bare")); // whatever has failed

describe("without a cgroup", () => {
  test("a container is in its creator's, from create to delete", async () => {
    const bundle = oci.bundle(["sh", "-c", "cat /proc/self/cgroup >/seen; sleep 100"], unlimited);
    const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
    // The streams are the command's, too: ours would not be closed before it ends.
    const script = `"$@" </dev/null >'${bundle}/output' 2>&1`;
    const created = await engine.bash(script, {
      args: [oci.runtime, "--root", oci.root, "--cgroup-manager=disabled"].concat(
        "create",
        "--bundle",
        bundle,
        "bare",
      ),
    });
    expect(created.exitCode).toBe(0);
    expect(readFileSync(join(bundle, "output"), "utf8")).toBe("");
    expect((await call("start", "bare")).err).toBe("");
    expect(await oci.state("bare")).toMatchObject({ status: "running" });
    const { out } = await oci.call(["exec", "bare", "cat", "/proc/self/cgroup"]);
    const own = readFileSync("/proc/self/cgroup", "utf8").trim();
    expect(out).toBe(own);
    const seen = join(bundle, "rootfs/seen");
    const said = await waitFor("its first command", () =>
      existsSync(seen) ? readFileSync(seen, "utf8").trim() || undefined : undefined,
    );
    expect(said).toBe(own);
    expect(existsSync(`/sys/fs/cgroup/pids${config.linux.cgroupsPath}`)).toBe(false);
    expect((await oci.call(["pause", "bare"])).err).toContain("no such controller");
    expect((await oci.call(["ps", "bare"])).err).toContain(
      "cannot tell the processes of bare: it has no cgroup",
    );
    const { pid } = await oci.state("bare");
    expect((await oci.call(["kill", "bare", "KILL"])).err).toBe("");
    expect((await oci.call(["delete", "--force", "bare"])).err).toBe("");
    expect(existsSync(`/proc/${pid}/exe`)).toBe(false); // at most nobody has waited for it
  });

  test("limits are an error, device rules a warning", async () => {
    const limited = oci.bundle(["true"], (config) => {
      config.linux.resources = { pids: { limit: 5 } };
    });
    const refused = await call("run", "--bundle", limited, "limited");
    expect(refused.err).toContain("linux.resources: a limit of pids needs a cgroup");
    expect(refused.exitCode).not.toBe(0);
    expect((await oci.call(["state", "limited"])).err).toContain("does not exist");
    const ruled = await call("run", "--bundle", oci.bundle(["echo", "fine"]), "ruled");
    expect(ruled).toMatchObject({ out: "fine", exitCode: 0 });
    expect(ruled.err).toContain("linux.resources.devices: not enforced");
  });
});

testIf(
  [program("nsenter")],
  "root of a user namespace with many ids needs nothing of the host",
  async () => {
    const bundle = oci.bundle(["cat", "/proc/self/uid_map"], (config) => {
      unlimited(config);
      config.mounts = config.mounts.filter(({ type }: Config) => type === "proc");
      config.process.user = { uid: 1, gid: 1 };
    });
    const script = `chmod 755 "$HOME" "$HOME/files"; chown -R 100000:100000 "$1"; chmod 755 "$1"
    unshare --user sleep 100 & holder=$!; trap 'kill $holder' EXIT
    until [ "$(readlink /proc/$holder/ns/user)" != "$(readlink /proc/$$/ns/user)" ]; do sleep 0.01; done
    for file in uid_map gid_map; do echo 0 100000 65536 >/proc/$holder/$file; done
    inside() { nsenter --user --target $holder --setuid 0 --setgid 0 unshare --mount "$@"; }
    inside "$2" --root "$1/state" --cgroup-manager disabled run --bundle "$1" own
    inside "$2" --root "$1/state" run --bundle "$1" other`;
    const { out, err } = await engine.bash(script, { args: [bundle, oci.runtime] });
    expect(out.trim().split(/\s+/)).toEqual(["0", "100000", "65536"]);
    expect(err).toMatch(/error: cgroup \w+: mkdir \S+: EACCES: permission denied/);
  },
);

test.each([
  [["--cgroup-manager", "none"], 'invalid cgroup manager "none": cgroupfs, systemd or disabled'],
  [["--rootless", "perhaps"], 'invalid --rootless "perhaps": true, false or auto'],
])("%j is an error", async (options, message) => {
  const { err, exitCode } = await oci.call([...options, "list"]);
  expect(err).toContain(message);
  expect(exitCode).toBe(1);
});

test("--rootless changes nothing", async () => {
  for (const value of ["true", "false", "auto"])
    expect(await oci.call(["--rootless", value, "list"])).toMatchObject({ err: "", exitCode: 0 });
});

leavesNothingBehind(engine);
