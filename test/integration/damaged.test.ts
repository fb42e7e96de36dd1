/** Files of the state that somebody damaged: one harms its own object only, which can be removed. */

import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";

const engine = useEngine();
const containers = () => readdirSync(join(engine.root, "containers"));

/** Ways to damage a file. */
const DAMAGES: Readonly<Record<string, (path: string) => void>> = {
  "that is no JSON": (path) => writeFileSync(path, '{"id": '),
  "that is an empty object": (path) => writeFileSync(path, "{}"),
  "that is null": (path) => writeFileSync(path, "null"),
  "that is empty": (path) => writeFileSync(path, ""),
  "of random bytes": (path) => writeFileSync(path, crypto.getRandomValues(new Uint8Array(300))),
  "that is a directory": (path) => {
    rmSync(path);
    mkdirSync(join(path, "within"), { recursive: true });
  },
};

describe("a container.json", () => {
  for (const [what, damage] of Object.entries(DAMAGES)) {
    test(`${what} harms its own container only, which rm -f removes`, async () => {
      await engine.call(["run", "--name", "broken", "busybox", "true"]);
      const [id = ""] = containers();
      await engine.call(["run", "--name", "whole", "busybox", "true"]);
      const file = join(engine.root, "containers", id, "container.json");
      damage(file);

      const listed = await engine.call(["ps", "-a", "--format", "{{.Names}} {{.State}} {{.ID}}"]);
      expect(listed.exitCode).toBe(0);
      expect(listed.out.split("\n").sort()).toEqual([
        `broken dead ${id.slice(0, 12)}`,
        expect.stringMatching(/^whole exited/),
      ]);
      expect(listed.err).toStartWith(`mydocker: warning: ${file} is damaged: `);
      expect(listed.err).not.toContain("\n");
      expect((await engine.call(["info", "-f", "{{.Containers}}"])).out).toBe("2");
      const { exitCode } = await engine.call(["run", "--name", "broken", "busybox", "true"]);
      expect(exitCode).toBe(125);

      const removed = await engine.call(["rm", "-f", id]);
      expect([removed.exitCode, removed.out, removed.err]).toEqual([0, id, ""]);
      expect(readdirSync(join(engine.root, "names"))).toEqual(["whole"]);
      expect((await engine.call(["rm", "whole"])).exitCode).toBe(0);
      expect(containers()).toEqual([]);
    });
  }

  test("that is damaged while its container runs leaves it listed as running", async () => {
    const running = engine.start([
      "run",
      "-i",
      "--name",
      "alive",
      "busybox",
      "sh",
      "-c",
      "echo ready; read x",
    ]);
    await running.waitForOutput(/ready/);
    const [id = ""] = containers();
    writeFileSync(join(engine.root, "containers", id, "container.json"), "");
    expect((await engine.call(["ps", "--format", "{{.Names}} {{.State}}"])).out).toBe(
      "alive running",
    );
    expect((await engine.call(["rm", "alive"])).err).toContain("container is running");
    expect((await engine.call(["rm", "-f", "alive"])).out).toBe("alive");
    await running.end();
    expect(containers()).toEqual([]);
  });
});

test("a damaged exit.json harms its own container only", async () => {
  await engine.call(["run", "--name", "broken", "busybox", "true"]);
  const [id = ""] = containers();
  writeFileSync(join(engine.root, "containers", id, "exit.json"), "{}");
  const { out, err, exitCode } = await engine.call([
    "ps",
    "-a",
    "--format",
    "{{.Names}} {{.State}}",
  ]);
  expect([exitCode, out]).toEqual([0, "broken dead"]);
  expect(err).toContain("exit.json is damaged");
  expect((await engine.call(["rm", "broken"])).exitCode).toBe(0);
});

test("a container's directory without container.json can be removed by its id", async () => {
  await engine.call(["run", "--name", "lost", "busybox", "true"]);
  const [id = ""] = containers();
  rmSync(join(engine.root, "containers", id, "container.json"));
  expect((await engine.call(["rm", "-f", id.slice(0, 12)])).exitCode).toBe(0);
  expect(containers()).toEqual([]);
  expect(readdirSync(join(engine.root, "names"))).toEqual([]);
});

test("a name whose container was removed by hand can be taken", async () => {
  await engine.call(["run", "--name", "taken", "busybox", "true"]);
  const [id = ""] = containers();
  rmSync(join(engine.root, "containers", id), { recursive: true });
  const { exitCode, err } = await engine.run(["--name", "taken", "busybox", "true"]);
  expect([exitCode, err]).toEqual([0, ""]);
});

test("a name that is no link is an error that says which", async () => {
  const path = join(engine.root, "names", "odd");
  writeFileSync(path, "");
  const { exitCode, err } = await engine.run(["--name", "odd", "busybox", "true"]);
  expect(exitCode).toBe(125);
  expect(err).toContain(`${path} is damaged`);
  rmSync(path);
  expect(containers()).toEqual([]);
});

leavesNothingBehind(engine);
