/** Many at once. */

import { expect, test } from "bun:test";
import { Engine, leavesNothingBehind, useEngine } from "../helpers/cli.ts";

const engine = useEngine();

/** Runs `count` tasks, `parallel` at a time; the results in order. */
async function inParallel<T>(
  count: number,
  parallel: number,
  task: (index: number) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < count; index = next++) results[index] = await task(index);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return results;
}

test("64 runs, 16 at a time: all succeed, with ids of their own and their own output", async () => {
  const results = await inParallel(64, 16, (index) =>
    engine.run(["busybox", "sh", "-c", `echo ${index} $(hostname)`]),
  );
  for (const [index, { exitCode, out, err }] of results.entries()) {
    expect([exitCode, err]).toEqual([0, ""]);
    expect(out).toStartWith(`${index} `);
  }
  expect(new Set(results.map(({ out }) => out.split(" ")[1])).size).toBe(64);
});

test("of 16 runs with one name at once, one gets it", async () => {
  const results = await inParallel(16, 16, () =>
    engine.call(["run", "--name", "wanted", "busybox", "echo", "mine"]),
  );
  expect(results.filter(({ exitCode }) => exitCode === 0)).toHaveLength(1);
  for (const { exitCode, err } of results.filter((result) => result.exitCode !== 0)) {
    expect(exitCode).toBe(125);
    expect(err).toContain("wanted");
  }
  expect((await engine.call(["ps", "-a", "--format", "{{.Names}}"])).out).toBe("wanted");
});

test("of 16 removals of one container, one succeeds", async () => {
  const results = await inParallel(16, 16, () => engine.call(["rm", "wanted"]));
  expect(results.filter(({ exitCode }) => exitCode === 0)).toHaveLength(1);
  for (const { err } of results.filter(({ exitCode }) => exitCode !== 0))
    expect(err).toContain("wanted");
  expect((await engine.call(["ps", "-aq"])).out).toBe("");
});

test("the first runs of all, eight at once, unpack the default image once and all succeed", async () => {
  const fresh = new Engine();
  try {
    const results = await inParallel(8, 8, () =>
      fresh.run(["busybox", "sh", "-c", "echo ok; ls / | wc -l"]),
    );
    for (const { exitCode, out, err } of results)
      expect([exitCode, out, err]).toEqual([0, results[0]?.out ?? "", ""]);
    expect((await fresh.call(["images", "-q"])).out.split("\n")).toHaveLength(1);
  } finally {
    fresh.remove();
  }
});

test("runs, listings and removals get along", async () => {
  await inParallel(40, 8, async (index) => {
    const args =
      index % 4 === 0
        ? ["ps", "-a"]
        : index % 4 === 1
          ? ["images"]
          : ["run", "--rm", "busybox", "true"];
    const { exitCode, err } = await engine.call(args);
    expect([exitCode, err]).toEqual([0, ""]);
  });
});

leavesNothingBehind(engine);
