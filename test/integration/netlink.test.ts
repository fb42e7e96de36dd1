/** src/netlink/ against the kernel, in network namespaces of the test's own. */

import { expect } from "bun:test";
import { join } from "node:path";
import { program, root, testIf } from "../helpers/requires.ts";

const FIXTURE = join(import.meta.dir, "../fixtures/netlink.ts");
const needs = [root(), program("unshare")];

/** Runs a script in a new network namespace; `$OTHER` is the path of a second one. */
async function inNamespaces(script: string): Promise<string> {
  const whole = `unshare --net sleep 1000 & holder=$!; trap 'kill $holder' EXIT
    own=$(readlink /proc/self/ns/net)
    until [ "$(readlink /proc/$holder/ns/net)" != "$own" ]; do sleep 0.01; done
    export OTHER=/proc/$holder/ns/net; ${script}`;
  const child = Bun.spawn(["unshare", "--net", "bash", "-c", whole, "bash", process.execPath], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect(err).toBe("");
  expect(await child.exited).toBe(0);
  return out;
}

testIf(
  needs,
  "links, addresses and routes are made, shown and removed, and errors explained",
  async () => {
    const out = await inNamespaces(`"$1" '${FIXTURE}' "$OTHER"`);
    const said = Object.fromEntries(
      out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    );
    expect(said).toMatchObject({
      port: { kind: "veth", onBridge: true, peer: said.peer.index },
      peer: { address: "020000000009" },
      "not here": true,
      links: expect.arrayContaining(["eth0", "lo"]),
      routes: [
        ["default", "10.1.2.1", 7],
        ["10.1.2.0", null, null],
      ],
      many: 60,
      taken: "RTM_NEWLINK br0 type bridge: EEXIST: file exists",
      missing: "RTM_DELLINK nope: ENODEV: no such device",
      "peer gone": true,
    });
    expect(said.addresses).toEqual(expect.arrayContaining(["10.1.2.3 0", "fd00::7 0"]));
    expect(said.addresses).not.toContain("10.1.2.4 0");
    expect(said.immovable).toMatch(/^RTM_SETLINK lo: EINVAL: invalid argument \(.*immutable.*\)$/);
    expect(said["no route"]).toMatch(
      /^RTM_NEWROUTE default via 1.2.3.4: ENETUNREACH: .* \(Nexthop/,
    );
  },
);
