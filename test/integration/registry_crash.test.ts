/**
 * Pulls that are killed, and many pulls at once: an image is whole with its name, or not there, and
 * each layer is downloaded once. Points: helpers/kill_points.ts.
 */
import { expect } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { DockerRegistry, REGISTRY_REQUIREMENTS } from "../helpers/docker_registry.ts";
import { choose, killedAt, POINTS, pointsOf, randomNumbers, SEED } from "../helpers/kill_points.ts";
import { layersLayout, oddLayout } from "../helpers/oci_images.ts";
import { program, testIf } from "../helpers/requires.ts";
import { expectNoDangling, expectSoundStore, storeEntries } from "../helpers/store_checks.ts";

const ready = REGISTRY_REQUIREMENTS.every((requirement) => requirement === undefined);
let registry: DockerRegistry;
const engine = useEngine({
  before: async () => {
    if (!ready) return;
    registry = await DockerRegistry.start(engine, "registry");
    registry.push(`oci:${oddLayout()}:odd`, "odd");
    registry.push(`oci:${layersLayout()}:layers`, "layers:20");
    await pull("odd"); // the directory of downloads stays
    await removeAll();
  },
});
/** Pulls that run at once. */
const MANY = Number(process.env["MYDOCKER_PULLS"] ?? 50);

const pull = (name: string) => engine.call(["pull", "-q", `${registry.host}/${name}`]);
const removeAll = async () => {
  const ours = ["images", "-q", "--no-trunc", "--filter", `reference=${registry.host}/*`];
  const ids = (await engine.call(ours)).out.split("\n").filter(Boolean);
  if (ids.length > 0) await engine.call(["rmi", "-f", ...new Set(ids)]);
};

testIf(
  [...REGISTRY_REQUIREMENTS, program("strace")],
  "a pull that is killed leaves its image whole and with its names, or not at all; the next one brings it",
  async () => {
    const name = "layers:20";
    const command = ["pull", "-q", `${registry.host}/${name}`];
    const points = await pointsOf(engine, command);
    expect(points.length).toBeGreaterThan(100);
    for (const point of choose(points, randomNumbers(SEED), 6)) {
      await removeAll();
      const where = `MYDOCKER_KILL_SEED=${SEED}: pull, at ${point.call} number ${point.when}`;
      await killedAt(engine, point, command);
      await expectSoundStore(engine, where);
      expectNoDangling(engine, where);
      const { exitCode, err, out } = await pull(name);
      expect([where, exitCode, err, out]).toEqual([where, 0, "", `${registry.host}/${name}`]);
      await expectSoundStore(engine, where);
      expect([where, downloads()]).toEqual([where, []]);
    }
    await removeAll();
  },
  POINTS === undefined ? 60_000 : 7_200_000,
);

testIf(
  REGISTRY_REQUIREMENTS,
  `${MANY} pulls at once of two images download each layer once`,
  async () => {
    const before = registry.log();
    const names = Array.from({ length: MANY }, (_, index) =>
      index % 2 === 0 ? "layers:20" : "odd:latest",
    );
    const results = await Promise.all(names.map(pull));
    for (const [index, { exitCode, err, out }] of results.entries())
      expect([exitCode, err, out]).toEqual([0, "", `${registry.host}/${names[index]}`]);
    await expectSoundStore(engine, "after all");
    expectNoDangling(engine, "after all");
    const requests = registry
      .log()
      .slice(before.length)
      .matchAll(/"GET \/v2\/[^ ]*\/blobs\/sha256:([0-9a-f]{64}) /g);
    const layers = new Set(storeEntries(engine, "blobs/sha256"));
    const counts = Map.groupBy(requests, ([, hex = ""]) => hex);
    expect(layers.size).toBeGreaterThan(20);
    for (const layer of layers) expect([layer, counts.get(layer)?.length]).toEqual([layer, 1]);
    expect(downloads()).toEqual([]);
    await removeAll();
  },
  60_000,
);

function downloads(): string[] {
  const path = join(engine.root, "images/downloads");
  return existsSync(path) ? readdirSync(path) : [];
}

leavesNothingBehind(engine);
