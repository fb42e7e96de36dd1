/** `ps -a` of many containers that have ended: what it found is kept, until anything changes. */

import { expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();
const COUNT = 60;
const KEPT = join(engine.runFolder, "ended.json");

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const states = async (): Promise<Map<string, string>> =>
  new Map(
    (await ok("ps", "-a", "--format", "{{.Names}} {{.State}} {{.Status}}"))
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf(" ")), line.replace(/^\S+ /, "")]),
  );

/** Copies of one that has ended, which takes a second less than to run them. */
function copyContainer(id: string): void {
  const containers = join(engine.root, "containers");
  const record = JSON.parse(readFileSync(join(containers, id, "container.json"), "utf8"));
  for (let number = 1; number < COUNT; number++) {
    const own = number.toString(16).padStart(8, "0") + id.slice(8);
    const folder = join(containers, own);
    for (const each of ["upper", "work"]) mkdirSync(join(folder, each), { recursive: true });
    for (const file of ["exit.json", "config.json"])
      cpSync(join(containers, id, file), join(folder, file));
    const name = `copy${number}`;
    writeFileSync(join(folder, "container.json"), JSON.stringify({ ...record, id: own, name }));
    symlinkSync(own, join(engine.root, "names", name));
  }
}

/** What is listed is kept once nothing has changed for two seconds. */
async function untilKept(): Promise<void> {
  rmSync(KEPT, { force: true });
  await waitFor("a listing that is kept", async () => {
    await ok("ps", "-a", "-q");
    return existsSync(KEPT);
  });
}

test("tells of every change at once", async () => {
  await ok("run", "-d", "--name", "one", "busybox", "sh", "-c", 'exit "$(cat /code || echo 3)"');
  await ok("wait", "one");
  const [id = ""] = readdirSync(join(engine.root, "containers"));
  await waitFor(
    "its monitor's end",
    () => readdirSync(join(engine.runFolder, "owners")).length === 0,
  );
  copyContainer(id);
  await untilKept();
  // Without ages, of all that is known of them.
  const fields =
    "{{.Command}} {{.CreatedAt}} {{.ID}} {{.Image}} {{.Mounts}} {{.Names}} {{.Networks}}";
  const all = async () => (await ok("ps", "-a", "--format", fields)).split("\n").sort();
  const listed = await all();
  expect(listed).toHaveLength(COUNT);
  rmSync(KEPT);
  expect(await all()).toEqual(listed);
  await untilKept();
  expect((await states()).size).toBe(COUNT);

  await ok("rename", "copy1", "other");
  expect((await states()).has("copy1")).toBe(false);
  expect((await states()).get("other")).toStartWith("exited Exited (3)");
  await ok("rm", "other");
  expect((await states()).size).toBe(COUNT - 1);
  await untilKept();

  const folder = readdirSync(join(engine.root, "containers")).find((name) =>
    name.startsWith("00000002"),
  );
  writeFileSync(join(engine.root, "containers", folder as string, "upper/code"), "7");
  await ok("start", "copy2");
  await ok("wait", "copy2");
  expect((await states()).get("copy2")).toStartWith("exited Exited (7)");
  await untilKept();
  expect((await states()).get("copy2")).toStartWith("exited Exited (7)");
  expect((await states()).get("copy3")).toStartWith("exited Exited (3)");
  writeFileSync(KEPT, '{"version":1,');
  expect((await states()).size).toBe(COUNT - 1);
  rmSync(KEPT);
  await ok("rm", ...(await states()).keys());
  rmSync(KEPT, { force: true });
});

leavesNothingBehind(engine);
