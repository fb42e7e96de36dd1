/** Many images: what a listing keeps for the next one is never what is not so any more. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { archive } from "../helpers/tar_builder.ts";
import { waitFor } from "../helpers/wait.ts";

const COUNT = 40;
const engine = useEngine();
const kept = join(engine.root, "images/listing.json");

/** An archive of many images of one layer. */
function manyImages(): Uint8Array<ArrayBuffer> {
  const layer = archive({ name: "f", data: "x" });
  const diffId = `sha256:${new Bun.CryptoHasher("sha256").update(layer).digest("hex")}`;
  const configs = Array.from({ length: COUNT }, (_, n) =>
    JSON.stringify({
      created: new Date(1.6e12 + n * 1000).toISOString(),
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      config: { Labels: { number: String(n) } },
      rootfs: { type: "layers", diff_ids: [diffId] },
    }),
  );
  const list = configs.map((_, n) => ({
    Config: `${n}.json`,
    RepoTags: [`many:${n}`],
    Layers: ["layer.tar"],
  }));
  return archive(
    { name: "manifest.json", data: JSON.stringify(list) },
    { name: "layer.tar", data: layer },
    ...configs.map((data, n) => ({ name: `${n}.json`, data })),
  );
}

const tags = async (...args: string[]): Promise<string[]> => {
  const format = "{{.Repository}}:{{.Tag}} {{.Size}}";
  const { exitCode, out, err } = await engine.call(["images", "--format", format, ...args]);
  expect([exitCode, err]).toEqual([0, ""]);
  return out.split("\n");
};

test("a listing of many images is kept, and forgotten with the first change", async () => {
  expect((await engine.call(["load", "-q"], { stdin: manyImages() })).exitCode).toBe(0);
  const first = await tags();
  expect(first).toHaveLength(COUNT + 1);
  // The youngest first.
  expect(first[1]).toBe(`many:${COUNT - 1} 1B`);
  // Not before nothing has changed for a while.
  expect(existsSync(kept)).toBe(false);
  await waitFor("the listing to be kept", async () => {
    expect(await tags()).toEqual(first);
    return existsSync(kept);
  });
  const { ino } = statSync(kept);
  expect(await tags()).toEqual(first);
  expect(await tags("-f", "label=number=7")).toEqual(["many:7 1B"]);
  expect(await tags("many:1*")).toHaveLength(11);
  expect(statSync(kept).ino).toBe(ino);

  await engine.call(["rmi", "many:3"]);
  expect(await tags()).toEqual(first.filter((line) => !line.startsWith("many:3 ")));
  await engine.call(["tag", "many:4", "other:1"]);
  expect(await tags("other")).toEqual(["other:1 1B"]);
  expect(await tags()).toHaveLength(COUNT + 1);
  await engine.call(["import", "-", "new"], { stdin: archive({ name: "f", data: "four" }) });
  expect((await tags())[0]).toBe("new:latest 4B");
});

test("one that is damaged is none", async () => {
  const before = await tags();
  const whole = readFileSync(kept, "utf8");
  for (const text of ["", "{", "null", "[]", "{}", whole.slice(0, 1000), whole.replace("1", "2")]) {
    writeFileSync(kept, text);
    expect(await tags()).toEqual(before);
  }
});

test("an image that is damaged is told of when its directory was changed", async () => {
  const [hex = ""] = readdirSync(join(engine.root, "images/ids")).filter((id) =>
    readFileSync(join(engine.root, "images/ids", id, "config.json"), "utf8").includes('"9"'),
  );
  writeFileSync(join(engine.root, "images/ids", hex, "config.json"), "{}");
  await engine.call(["tag", "many:1", "many:one"]);
  const { exitCode, err } = await engine.call(["images"]);
  expect(exitCode).toBe(1);
  expect(err).toStartWith(`mydocker: the image sha256:${hex} is damaged: `);
  await engine.call(["rmi", "-f", hex]);
  const ids = (await engine.call(["images", "-q", "many"])).out.split("\n");
  await engine.call(["rmi", "-f", "new", "other:1", ...new Set(ids)]);
  expect(await tags()).toHaveLength(1);
  rmSync(kept); // which stays, for the next listing
});

leavesNothingBehind(engine);
