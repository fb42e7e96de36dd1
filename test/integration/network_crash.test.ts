/** SIGKILL at any call that concerns networks: the next command gives back what was taken. */
import { describe, expect, test } from "bun:test";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { NetworkEngine } from "../helpers/net_hosts.ts";
import { program, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = new NetworkEngine();
useEngine({
  engine,
  before: async () => void (await engine.run(["-p", "80", "busybox", "true"])),
});

/** Links, elements of the firewall's sets, leases and names that containers have now. */
async function traces(): Promise<string> {
  const { out } = await engine.host(`
    ip -o link | grep -o ' md[0-9a-f]\\{12\\}[0-9a-z]@'
    nft list ruleset | grep -e '"md[0-9a-f]\\{12\\}[0-9a-z]"' -e ' : 172' -e ' \\. 172'
    find ${engine.runFolder}/networks/containers ${engine.runFolder}/networks/leases -not -type d
    [ ! -e ${engine.runFolder}/networks/names ] || find ${engine.runFolder}/networks/names -not -type d`);
  return out;
}

const hasStrace = [program("strace")];

describe("killed", () => {
  // How often a run with a published port makes each of them, at least.
  const CALLS = { sendto: 11, setns: 2, bind: 3, symlinkat: 3, renameat: 2, unlinkat: 6 };
  testIf(
    hasStrace,
    `at each of ${Object.keys(CALLS).join(", ")} of a run with a published port`,
    async () => {
      const points = Object.entries(CALLS).flatMap(([call, count]) =>
        Array.from({ length: count }, (_, index) => ({ call, when: index + 1 })),
      );
      let killed = 0;
      for (const { call, when } of points) {
        const inject = `inject=${call}:signal=KILL:when=${when}`;
        const { exitCode } = await engine.bash(
          `strace -qq -o /dev/null -e trace=${call} -e ${inject} "$MYDOCKER" run --rm -p 8090:80 busybox true; exit $?`,
        );
        if (exitCode === 137) killed++;
        const { exitCode: code, err } = await engine.call(["ps", "-aq"]);
        expect([call, when, code, err]).toEqual([call, when, 0, ""]);
        await waitFor(`${call} ${when}: nothing left`, async () => (await traces()) === "");
      }
      expect(killed).toBeGreaterThanOrEqual(20);
    },
    60_000,
  );

  testIf(
    hasStrace,
    "at any of its changes, `network connect` takes no address for good",
    async () => {
      await engine.call(["network", "create", "--subnet", "10.80.0.0/30", "tiny"]);
      await engine.call(["run", "-d", "--name", "box", "busybox", "sleep", "600"]);
      for (const inject of ["symlinkat:signal=KILL:when=1", "sendto:signal=KILL:when=2"]) {
        const { exitCode } = await engine.bash(
          `strace -qq -o /dev/null -e inject=${inject} "$MYDOCKER" network connect tiny box; exit $?`,
        );
        expect(exitCode).toBe(137);
      }
      await engine.call(["rm", "-f", "box"]);
      // Its one address is free.
      const { exitCode, err } = await engine.run(["--network", "tiny", "busybox", "true"]);
      expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
      expect((await engine.call(["network", "rm", "tiny"])).err).toBe("");
      expect(await traces()).toBe("");
    },
  );
});

test("many runs with published ports leave nothing", async () => {
  const script = `for i in $(seq 10); do
    $MYDOCKER run --rm -p 80 -p 8100-8199:81/udp busybox true & $MYDOCKER run --rm -p 80 busybox true & wait
  done; echo $?`;
  expect((await engine.bash(script)).out).toBe("0");
  expect(await traces()).toBe("");
});

leavesNothingBehind(engine);
