/** A Swarm of one node whose containers mydocker runs; with runc the same happens. */

import { afterAll, describe, expect } from "bun:test";
import { useEngine } from "../helpers/cli.ts";
import type { RuntimeName } from "../helpers/daemon.ts";
import { Dockerd, IMAGE } from "../helpers/dockerd.ts";
import { descendants } from "../helpers/leaks.ts";
import { program, type Requirement, root, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const requirements: Requirement[] = [root(), program("dockerd"), program("docker"), program("ip")];

const engine = useEngine();
const daemons: Dockerd[] = [];
afterAll(async () => {
  for (const daemon of daemons) await daemon.stop();
});

/** Docker's client waits until a service is as it shall be; on a busy machine that takes a while. */
const PATIENCE = { timeout: 120_000 };

/** A service called `web` in a Swarm of its own. */
class Swarm {
  readonly dockerd: Dockerd;

  constructor(readonly runtime: RuntimeName) {
    this.dockerd = new Dockerd(engine, `swarm-${runtime}`);
    daemons.push(this.dockerd);
  }

  /** `docker ARGS…`. @returns its output @throws {Error} when it fails */
  async docker(...args: string[]): Promise<string> {
    const { exitCode, out, err } = await this.dockerd.docker(args, PATIENCE);
    if (exitCode !== 0) throw new Error(`docker ${args.join(" ")} with ${this.runtime}: ${err}`);
    return out;
  }

  /** Ids of the service's containers that run. */
  async running(): Promise<string[]> {
    const label = "label=com.docker.swarm.service.name=web";
    return (await this.docker("ps", "--quiet", "--no-trunc", "--filter", label))
      .split("\n")
      .filter(Boolean);
  }

  /** Waits for a number of containers that run. @returns their ids */
  async untilRunning(count: number): Promise<string[]> {
    let ids: string[] = [];
    await waitFor(
      () => `${count} containers to run; ${ids.length} do`,
      async () => {
        ids = await this.running();
        return ids.length === count;
      },
      60_000,
    );
    return ids;
  }

  /** What each of these containers prints in `docker exec`. */
  async print(ids: readonly string[], script: string): Promise<string[]> {
    const prints: string[] = [];
    for (const id of ids) prints.push(await this.docker("exec", id, "sh", "-c", script));
    return prints;
  }
}

async function liveThrough(runtime: RuntimeName): Promise<void> {
  const swarm = new Swarm(runtime);
  await swarm.dockerd.start(["--default-runtime", runtime]);
  await swarm.docker("swarm", "init", "--advertise-addr", "127.0.0.1");
  const secret = engine.directory("secret");
  await Bun.write(`${secret}/file`, "hush");
  await swarm.docker("secret", "create", "password", `${secret}/file`);

  await swarm.docker(
    ...["service", "create", "--quiet", "--name", "web", "--replicas", "5", "--no-resolve-image"],
    ...["--env", "VERSION=1", "--secret", "password", "--limit-memory", "32m"],
    ...["--hostname", "web-{{.Task.Slot}}", "--stop-grace-period", "5s"],
    ...["--restart-delay", "100ms", "--update-monitor", "500ms"],
    ...[IMAGE, "sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"],
  );
  const five = await swarm.untilRunning(5);
  expect(await swarm.dockerd.inspect(five[0] as string, "{{.HostConfig.Runtime}}")).toBe(runtime);
  const script = "hostname; echo $VERSION; cat /run/secrets/password";
  expect((await swarm.print(five, script)).sort()).toEqual(
    [1, 2, 3, 4, 5].map((slot) => `web-${slot}\n1\nhush`),
  );

  await swarm.docker("service", "scale", "web=10");
  const ten = await swarm.untilRunning(10);
  expect(five.every((id) => ten.includes(id))).toBe(true);

  const update = ["--env-add", "VERSION=2", "--update-parallelism", "4", "--update-delay", "0s"];
  await swarm.docker("service", "update", "--quiet", "--no-resolve-image", ...update, "web");
  const updated = await swarm.untilRunning(10);
  expect(updated.some((id) => ten.includes(id))).toBe(false);
  expect(new Set(await swarm.print(updated, "echo $VERSION"))).toEqual(new Set(["2"]));
  expect(
    await swarm.docker("service", "inspect", "--format", "{{.UpdateStatus.State}}", "web"),
  ).toBe("completed");

  const [victim = ""] = updated;
  await swarm.docker("kill", victim);
  await swarm.dockerd.until(victim, "{{.State.Status}} {{.State.ExitCode}}", "exited 137");
  await waitFor(
    "another in its place",
    async () => (await swarm.running()).some((id) => !updated.includes(id)),
    60_000,
  );
  expect(await swarm.untilRunning(10)).not.toContain(victim);
  expect(await swarm.docker("service", "ps", "--format", "{{.Error}}", "web")).toContain(
    "task: non-zero exit (137)",
  );

  const node = await swarm.docker("node", "ls", "--quiet");
  await swarm.docker("node", "update", "--availability", "drain", node);
  await swarm.untilRunning(0);
  await swarm.docker("node", "update", "--availability", "active", node);
  await swarm.untilRunning(10);

  await swarm.docker("service", "rm", "web");
  await swarm.untilRunning(0);
  await swarm.docker("swarm", "leave", "--force");
  await waitFor(
    () => `no cgroups: ${swarm.dockerd.leftovers().join(", ")}`,
    () => swarm.dockerd.leftovers().length === 0,
    30_000,
  );
  await swarm.dockerd.stop();
}

describe("a service of five", () => {
  for (const runtime of ["mydocker", "runc"] as const) {
    testIf(
      runtime === "runc" ? [...requirements, program("runc")] : requirements,
      `is scaled, updated, replaced when killed, and drained with ${runtime}`,
      () => liveThrough(runtime),
      240_000,
    );
  }

  testIf(requirements, "leaves no process", async () => {
    await waitFor(
      () => `no processes: ${descendants(process.pid).join(", ")}`,
      () => descendants(process.pid).length === 0,
    );
  });
});
