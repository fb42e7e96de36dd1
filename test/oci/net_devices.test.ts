/**
 * `linux.netDevices`, with devices in a network namespace that stands for the host's: the runtime is
 * started in it, and it ends with the test.
 */

import { expect } from "bun:test";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { type Config, OciRuntime } from "../helpers/oci_runtime.ts";
import { program, root, testIf } from "../helpers/requires.ts";

const engine = useEngine();
const oci = new OciRuntime(engine);
const needs = [root(), program("unshare"), program("ip")];

/** A veth whose addresses are of every kind, and a second device that is down. */
const DEVICES = `
  ip link add va mtu 1400 address 02:11:22:33:44:55 type veth peer name vb
  ip addr add 10.9.8.1/24 broadcast + dev va
  ip addr add 10.9.9.1/24 dev va scope link
  ip addr add 10.9.7.1/24 dev va valid_lft 1000 preferred_lft 1000
  ip addr add 10.7.0.1 peer 10.7.0.2/32 dev va
  ip -6 addr add fd00:9::1/64 dev va nodad
  ip link set va up; ip link set vb up
  ip link add wa type veth peer name wb
  ip link add br0 type bridge
`;

/** `mydocker-oci run` among {@link DEVICES}; `after` is a script on the host's side, afterwards. */
async function run(
  script: string,
  netDevices: object,
  change?: (config: Config) => void,
  after = "",
) {
  const bundle = oci.bundle(["sh", "-c", script], (config) => {
    config.linux.netDevices = netDevices;
    change?.(config);
  });
  const id = bundle.replace(/.*\//, "");
  const all = `set -e; ${DEVICES} "$1" --root "$2" run --bundle "$3" "$4" || echo "exit $?"; ${after}`;
  return await engine.exec(
    ["unshare", "--net", "bash", "-c", all, "bash", oci.runtime, oci.root, bundle, id],
    {},
  );
}

const SHOW = "ip addr show dev eth0; ip link show dev wa; ip route";

function expectDevices(out: string): void {
  expect(out).toMatch(/eth0@.*<.*\bUP\b.*> mtu 1400/);
  expect(out).toContain("link/ether 02:11:22:33:44:55");
  expect(out).toContain("inet 10.9.8.1/24 brd 10.9.8.255 scope global eth0");
  expect(out).toContain("inet 10.7.0.1 peer 10.7.0.2/32 scope global eth0");
  expect(out).toMatch(/inet6 fd00:9::1\/64 scope global/);
  expect(out).not.toContain("10.9.9.1"); // its scope is the link
  expect(out).not.toContain("10.9.7.1"); // it is not permanent
  expect(out).toMatch(/wa@.*<.*\bUP\b/);
  expect(out).toMatch(/10.9.8.0\/24 dev eth0/);
}

testIf(
  needs,
  "devices are the container's by their new names, up, with their addresses",
  async () => {
    const { out, err } = await run(
      SHOW,
      { va: { name: "eth0" }, wa: {} },
      undefined,
      "ip link show va",
    );
    expectDevices(out);
    expect(err).toBe('Device "va" does not exist.');
  },
);

testIf(needs, "so they are with a user namespace, and by way of a fresh process", async () => {
  const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const devices = { va: { name: "eth0" }, wa: {} };
  const { out } = await run(SHOW, devices, (config) => {
    config.linux.namespaces.push({ type: "user" });
    config.linux.uidMappings = mapping;
    config.linux.gidMappings = mapping;
    config.mounts = config.mounts.filter(({ type }: Config) => type !== "cgroup");
  });
  expectDevices(out);
  const bundle = oci.bundle(["sh", "-c", SHOW], (config) => {
    config.linux.netDevices = devices;
  });
  const staged = await engine.bash(
    `unshare --net bash -c '${DEVICES} MYDOCKER_FORK=stage exec "$@"' bash "$@"`,
    { args: [oci.runtime, "--root", oci.root, "run", "--bundle", bundle, "staged"] },
  );
  expectDevices(staged.out);
});

testIf(needs, "the kernel numbers a name that ends in %d", async () => {
  const devices = { va: { name: "net%d" }, wa: { name: "net%d" } };
  const { out } = await run("ip -o link | grep -o 'net[0-9]*@' | sort", devices);
  expect(out).toBe("net0@\nnet1@");
});

testIf(needs, "a namespace with a path gets them", async () => {
  const bundle = oci.bundle(["ip", "link", "show", "dev", "eth0"], (config) => {
    config.linux.netDevices = { va: { name: "eth0" } };
    config.linux.namespaces.find(({ type }: Config) => type === "network").path = "/tmp/OTHER";
  });
  const { out } = await engine.bash(
    `unshare --net bash -c '${DEVICES}
      unshare --net sleep 1000 & holder=$!; trap "kill $holder" EXIT
      until [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done
      sed -i "s|/tmp/OTHER|/proc/$holder/ns/net|" "$1/config.json"; shift
      "$@"; nsenter --net=/proc/$holder/ns/net ip -br link show eth0' bash "$@"`,
    { args: [bundle, oci.runtime, "--root", oci.root, "run", "--bundle", bundle, "joined"] },
  );
  expect(out).toMatch(/eth0@[\s\S]*\neth0@/);
});

testIf(needs, "errors name the device, and leave all devices as they were", async () => {
  const state = "ip -o addr show dev va; ip -o link show va; ip -br link show wa";
  const before = (await engine.bash(`unshare --net bash -c '${DEVICES} ${state}'`)).out;
  const shape = (out: string) =>
    out
      .replace(/exit \d+\n/, "")
      .replace(/valid_lft \d+sec/g, "")
      .replace(/preferred_lft \d+sec/g, "")
      .replaceAll(/ dadfailed| tentative|[0-9a-f:]{17}/g, "")
      .split("\n")
      .map((line) => line.replace(/\s+/g, " "))
      .filter((line) => !/10\.9\.[79]\.1|fe80|^\s*$/.test(line))
      .sort();
  const hook = (config: Config) => {
    config.hooks = { createRuntime: [{ path: "/bin/false" }] };
  };
  for (const [devices, why, change] of [
    [{ nope: {} }, "network device nope to the container: no such network device"],
    [{ va: {}, nope: {} }, "network device nope to the container: no such network device"],
    [{ va: { name: "lo" } }, "device va to the container: the container already has a device lo"],
    [{ va: {}, lo: { name: "x" } }, "lo to the container: every network namespace has its own"],
    // The kernel refuses this one when the first is inside already.
    [{ va: { name: "eth0" }, br0: {} }, "network device br0 to the container: EINVAL: invalid arg"],
    [{ va: { name: "eth0" }, wa: {} }, "createRuntime", hook],
  ] as const) {
    const { out, err } = await run("true", devices, change, state);
    expect(err).toContain(why);
    expect(out).toStartWith("exit 1\n");
    expect(shape(out)).toEqual(shape(before));
  }
});

leavesNothingBehind(engine);
