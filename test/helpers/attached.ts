/** Waiting until clients have reached a container's monitor: what they ask for is not to come before. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "./cli.ts";
import { waitFor } from "./wait.ts";

/** Clients of the monitors whose sockets are there (proc_pid_net(5), "unix"): connected ones, state 3. */
function clients(engine: Engine): number {
  const ids = new Set(readdirSync(join(engine.runFolder, "sockets")));
  return readFileSync("/proc/net/unix", "latin1")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , , , state, , path]) => state === "03" && ids.has(path?.split("/").at(-1) ?? ""))
    .length;
}

/** Waits until so many clients (`attach`, `wait`, `logs -f`) are connected to monitors of this engine. */
export async function waitForClients(engine: Engine, count: number): Promise<void> {
  await waitFor(`${count} clients`, () => clients(engine) === count);
  await Bun.sleep(100); // to be heard
}
