/** `stats`: what containers use. */

import { expect, test } from "bun:test";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { onTerminal } from "../helpers/terminal.ts";

const engine = useEngine();

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const once = (...args: string[]): Promise<string> => ok("stats", "--no-stream", ...args);

test("of those that run, the newest first, by Docker's table, JSON or a template", async () => {
  const busy = "sleep 1000 & sleep 1000 & while :; do :; done";
  const id = await ok("run", "-d", "--name", "busy", "-m", "64m", "busybox", "sh", "-c", busy);
  await ok("run", "-d", "--name", "idle", "busybox", "sleep", "1000");
  await ok("create", "--name", "made", "busybox", "true");
  const [heading, ...rows] = (await once()).split("\n");
  expect(heading).toMatch(
    /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS$/,
  );
  expect(rows.map((row) => row.split(/ {2,}/)[1])).toEqual(["idle", "busy"]);
  const figures = JSON.parse(await once("--format", "json", "busy"));
  expect(figures).toMatchObject({ ID: id.slice(0, 12), Name: "busy", PIDs: "3" });
  expect(Number.parseFloat(figures.CPUPerc)).toBeGreaterThan(0);
  expect(figures.MemUsage).toMatch(/^[\d.]+[KM]iB \/ 64MiB$/);
  expect(Number.parseFloat(figures.MemPerc)).toBeGreaterThan(0);
  expect(await once("--no-trunc", "--format", "{{.ID}}", id.slice(0, 10))).toBe(id);
  const all = ["-a", "--format", "{{.Name}} {{.PIDs}}"];
  expect(await once(...all)).toBe("made 0\nidle 1\nbusy 3");
  expect(await once("--format", "{{.Name}} {{.MemUsage}} {{.NetIO}}", "made")).toBe(
    "made 0B / 0B 0B / 0B",
  );
  const unknown = await engine.call(["stats", "--no-stream", "idle", "nobody"]);
  expect([unknown.exitCode, unknown.out, unknown.err]).toEqual([
    ...[1, "", "mydocker: No such container: nobody"],
  ]);
  await ok("rm", "-f", "busy", "idle", "made");
});

test("again and again, until nobody reads it or none of those that were named is left", async () => {
  await ok("create", "--name", "made", "busybox", "true");
  const { exitCode } = await engine.bash(
    'set -o pipefail; timeout 20 "$MYDOCKER" stats -a --format "{{.Name}}" | head -n 5 >/dev/null',
  );
  expect(exitCode).toBe(0);
  const watched = engine.start(["stats", "--format", "{{.Name}}", "made"]);
  await watched.waitForOutput(/made/);
  await ok("rm", "made");
  expect((await watched.end()).exitCode).toBe(0);
});

test("on a terminal each look is drawn over the one before", async () => {
  await ok("run", "-d", "--name", "idle", "busybox", "sleep", "1000");
  const session = onTerminal(engine, ["stats", "idle"]);
  await session.waitForOutput(/idle[\s\S]*idle/);
  session.type("\u0003");
  const { output, signal } = await session.end();
  expect(signal).toBe("SIGINT");
  // The screen is cleared once; then each line, and what is below.
  expect(output.split("\u001b[2J")).toHaveLength(2);
  expect(output.replaceAll("\u001b", "<ESC>")).toMatch(
    /<ESC>\[HCONTAINER ID[^\n]*<ESC>\[K\r\n[^\n]*idle[^\n]*<ESC>\[K\r\n<ESC>\[J/,
  );
  await ok("rm", "-f", "idle");
});

leavesNothingBehind(engine);
