/** Images from Debian's docker-registry, filled by skopeo: what `pull` and `run` make of them. */

import { describe, expect } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Result, useEngine } from "../helpers/cli.ts";
import { DockerRegistry, REGISTRY_REQUIREMENTS } from "../helpers/docker_registry.ts";
import { debianLayout, layersLayout, oddLayout } from "../helpers/oci_images.ts";
import { testIf } from "../helpers/requires.ts";

const ready = REGISTRY_REQUIREMENTS.every((requirement) => requirement === undefined);
let registry: DockerRegistry;

const engine = useEngine({
  before: async () => {
    if (!ready) return;
    registry = await DockerRegistry.start(engine, "registry");
    registry.push(`oci:${oddLayout()}:odd`, "odd");
    registry.push(`oci:${layersLayout()}:layers`, "layers:20");
    registry.push(`oci:${debianLayout()}:debian`, "debian");
  },
});

const withRegistry = (name: string, body: () => void | Promise<void>, timeout?: number) =>
  testIf(REGISTRY_REQUIREMENTS, name, body, timeout);

function expectSuccess(result: Result): string {
  expect({ err: result.err, exitCode: result.exitCode }).toEqual({ err: "", exitCode: 0 });
  return result.out;
}

const pull = async (...args: string[]) => expectSuccess(await engine.call(["pull", ...args]));

describe("pull", () => {
  withRegistry("says what Docker says where there is no terminal", async () => {
    const lines = (await pull(`${registry.host}/odd`)).split("\n");
    expect(lines.slice(0, 2)).toEqual(["Using default tag: latest", "latest: Pulling from odd"]);
    const [id] = (lines[2] ?? "").split(":");
    expect(id).toMatch(/^[0-9a-f]{12}$/);
    expect(lines.slice(2, 6)).toEqual([
      `${id}: Pulling fs layer`,
      `${id}: Verifying Checksum`,
      `${id}: Download complete`,
      `${id}: Pull complete`,
    ]);
    expect(lines[6]).toMatch(/^Digest: sha256:[0-9a-f]{64}$/);
    expect(lines.slice(7)).toEqual([
      `Status: Downloaded newer image for ${registry.host}/odd:latest`,
      `${registry.host}/odd:latest`,
    ]);
  });

  withRegistry("of what is here says so, and brings nothing", async () => {
    await pull("-q", `${registry.host}/odd`);
    const lines = (await pull(`${registry.host}/odd:latest`)).split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[2]).toBe(`Status: Image is up to date for ${registry.host}/odd:latest`);
  });

  withRegistry("-q says the whole name alone, with a digest too", async () => {
    const digest = /Digest: (\S+)/.exec(await pull(`${registry.host}/odd`))?.[1];
    const name = `${registry.host}/odd@${digest}`;
    expect(await pull("-q", name)).toBe(name);
    expect(expectSuccess(await engine.call(["images", "-q", "--no-trunc"]))).toMatch(/^sha256:/);
  });

  withRegistry("leaves no download behind", () => {
    expect(existsSync(join(engine.root, "images/tmp"))).toBe(false);
    const downloads = join(engine.root, "images/downloads");
    expect(existsSync(downloads) ? readdirSync(downloads) : []).toEqual([]);
  });
});

describe("run", () => {
  withRegistry("pulls an image that is missing, and says so on stderr", async () => {
    const name = `${registry.host}/debian`;
    const { out, err, exitCode } = await engine.run([name, "cat", "/etc/debian_version"]);
    expect({ out, exitCode }).toEqual({ out: expect.stringMatching(/^\d/), exitCode: 0 });
    const lines = err.split("\n");
    expect(lines.slice(0, 2)).toEqual([
      `Unable to find image '${name}:latest' locally`,
      "latest: Pulling from debian",
    ]);
    expect(lines.at(-1)).toBe(`Status: Downloaded newer image for ${name}:latest`);
  });

  withRegistry("--pull never does not, and create says why", async () => {
    for (const command of [["run"], ["run", "-d"], ["create"]]) {
      const { err, exitCode } = await engine.call([
        ...[...command, "--pull", "never", `${registry.host}/layers:20`],
      ]);
      expect({ err, exitCode }).toEqual({
        err: expect.stringContaining(`mydocker: No such image: ${registry.host}/layers:20`),
        exitCode: command[0] === "create" ? 1 : 125,
      });
    }
  });

  withRegistry("-d and create pull as well, -q without a word", async () => {
    const name = `${registry.host}/layers:20`;
    const created = await engine.call(["create", "-q", name, "/bin/busybox", "true"]);
    const id = expectSuccess(created);
    expectSuccess(await engine.call(["rm", id]));
    expectSuccess(await engine.call(["rmi", name]));
    const run = await engine.call(["run", "-d", name, "/bin/busybox", "sleep", "1000"]);
    expect(run.exitCode).toBe(0);
    expect(run.err).toContain(`Unable to find image '${name}' locally`);
    const shown = await engine.call(["exec", run.out, "/bin/busybox", "cat", "/changed"]);
    expect(expectSuccess(shown)).toBe("layer 20");
    expectSuccess(await engine.call(["rm", "-f", run.out]));
  });

  withRegistry("--pull always asks the registry although the image is here", async () => {
    const name = `${registry.host}/odd`;
    await pull("-q", name);
    const args = ["--pull", "always", "--entrypoint", "/bin/busybox", name, "true"];
    const { err, exitCode } = await engine.run(args);
    expect(exitCode).toBe(0);
    expect(err).toContain(`Status: Image is up to date for ${name}:latest`);
  });

  withRegistry("of what no registry has fails with 125", async () => {
    for (const options of [[], ["-d"]]) {
      const { err, exitCode } = await engine.call(["run", ...options, `${registry.host}/none`]);
      expect({ err, exitCode }).toEqual({
        err: `Unable to find image '${registry.host}/none:latest' locally\nmydocker: manifest for ${registry.host}/none:latest not found: manifest unknown: manifest unknown`,
        exitCode: 125,
      });
    }
  });
});
