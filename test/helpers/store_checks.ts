/** Whether a store of images is whole, seen from outside: after kills, faults, and many at once. */
import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "./cli.ts";

/** What is in a directory of the store, e.g. `ids`; nothing, if it is not there. */
export function storeEntries(engine: Engine, kind: string): string[] {
  const path = join(engine.root, "images", kind);
  return existsSync(path) ? readdirSync(path).sort() : [];
}

/** JSON in a file of the store. */
const read = (engine: Engine, path: string) =>
  JSON.parse(readFileSync(join(engine.root, "images", path), "utf8"));

/** Every layer and blob is of an image, every image is whole, every name is of one. */
export async function expectSoundStore(engine: Engine, where: string): Promise<void> {
  const entries = (kind: string) => storeEntries(engine, kind);
  const listed = await engine.call(["images", "-q"]);
  expect([where, listed.exitCode, listed.err]).toEqual([where, 0, ""]);
  const verified = await engine.call(["image", "verify", "-q"]);
  expect([where, verified.exitCode, verified.out, verified.err]).toEqual([where, 0, "", ""]);
  const ids = entries("ids");
  const layers = ids.flatMap((id) =>
    read(engine, `ids/${id}/config.json`).rootfs.diff_ids.map((diffId: string) => diffId.slice(7)),
  );
  const blobs = ids.flatMap((id) =>
    entries(`ids/${id}/manifests`).flatMap((name) =>
      read(engine, `ids/${id}/manifests/${name}`).layers.map(({ digest }: { digest: string }) =>
        digest.slice(7),
      ),
    ),
  );
  expect([where, entries("layers")]).toEqual([where, [...new Set(layers)].sort()]);
  expect([where, entries("blobs/sha256")]).toEqual([where, [...new Set(blobs)].sort()]);
  expect([where, entries("tmp")]).toEqual([where, []]);
  for (const id of namedImages(engine))
    expect([where, ids]).toEqual([where, expect.arrayContaining([id])]);
}

/** The images that have names, by the hex digits of their ids. */
function namedImages(engine: Engine): string[] {
  return storeEntries(engine, "names").map((name) => read(engine, `names/${name}`).id.slice(7));
}

/** No image lost its names, or has not got them yet. */
export function expectNoDangling(engine: Engine, where: string): void {
  const named = new Set(namedImages(engine));
  const dangling = storeEntries(engine, "ids").filter((id) => !named.has(id));
  expect([where, dangling]).toEqual([where, []]);
}
