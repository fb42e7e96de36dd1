/** Images from Debian's docker-registry, filled by skopeo: what `pull` and `run` make of them. */

import { describe, expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Result, useEngine } from "../helpers/cli.ts";
import { output } from "../helpers/debian.ts";
import { DockerRegistry, REGISTRY_REQUIREMENTS } from "../helpers/docker_registry.ts";
import { layersLayout, oddLayout } from "../helpers/oci_images.ts";
import { program, testIf } from "../helpers/requires.ts";
import { onTerminal } from "../helpers/terminal.ts";
import { listLayers, listTree } from "../helpers/tree_listing.ts";

const ready = REGISTRY_REQUIREMENTS.every((requirement) => requirement === undefined);
let registry: DockerRegistry;

const engine = useEngine({
  before: async () => {
    if (!ready) return;
    registry = await DockerRegistry.start(engine, "registry");
    registry.push(`oci:${oddLayout()}:odd`, "odd");
    registry.push(`oci:${layersLayout()}:layers`, "layers:20");
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
    const name = `${registry.host}/layers:20`;
    const { out, err, exitCode } = await engine.run([name, "/bin/busybox", "cat", "/changed"]);
    expect({ out, exitCode }).toEqual({ out: "layer 20", exitCode: 0 });
    const lines = err.split("\n");
    expect(lines.slice(0, 2)).toEqual([
      `Unable to find image '${name}' locally`,
      "20: Pulling from layers",
    ]);
    expect(lines.at(-1)).toBe(`Status: Downloaded newer image for ${name}`);
    expectSuccess(await engine.call(["rmi", name]));
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

describe("push", () => {
  const push = async (...args: string[]) => expectSuccess(await engine.call(["push", ...args]));

  withRegistry(
    "says what Docker says, and skopeo reads what was pulled, byte for byte",
    async () => {
      await pull("-q", `${registry.host}/layers:20`);
      expectSuccess(
        await engine.call(["tag", `${registry.host}/layers:20`, `${registry.host}/other/name`]),
      );
      const lines = (await push(`${registry.host}/other/name`)).split("\n");
      expect(lines.slice(0, 2)).toEqual([
        "Using default tag: latest",
        `The push refers to repository [${registry.host}/other/name]`,
      ]);
      const layers = lines.slice(2, -1);
      expect(layers.filter((line) => /^[0-9a-f]{12}: Preparing$/.test(line))).toHaveLength(20);
      // The registry has them, in another repository.
      expect(layers.filter((line) => /: Mounted from layers$/.test(line))).toHaveLength(20);
      const original = registry.manifest("layers:20");
      expect(registry.manifest("other/name:latest")).toBe(original);
      const digest = new Bun.CryptoHasher("sha256").update(original).digest("hex");
      expect(lines.at(-1)).toBe(`latest: digest: sha256:${digest} size: ${original.length}`);
      expect(await push(`${registry.host}/other/name`)).toContain(": Layer already exists");
    },
  );

  withRegistry("what was made here can be pulled, and runs, elsewhere", async () => {
    const name = `${registry.host}/made:here`;
    expectSuccess(await engine.call(["tag", "busybox", name]));
    expect(await push("-q", name)).toBe(name);
    const copy = engine.directory("copied");
    registry.copyTo("made:here", copy);
    const unpacked = engine.directory("copied-bundle");
    output(["umoci", "unpack", "--image", `${copy}:copy`, `${unpacked}/bundle`]);
    expect(existsSync(join(unpacked, "bundle/rootfs/bin/busybox"))).toBe(true);
    expectSuccess(await engine.call(["rmi", name]));
    expect((await engine.run(["-q", name, "echo", "it runs"])).out).toBe("it runs");
  });

  withRegistry("-a pushes all tags, and what is not here is no tag", async () => {
    for (const tag of ["a", "b"])
      expectSuccess(await engine.call(["tag", "busybox", `${registry.host}/tags:${tag}`]));
    expect(await push("-aq", `${registry.host}/tags`)).toBe(`${registry.host}/tags`);
    const { Tags } = JSON.parse(
      output(["skopeo", "list-tags", "--tls-verify=false", `docker://${registry.host}/tags`]),
    );
    expect(Tags.sort()).toEqual(["a", "b"]);
    const none = await engine.call(["push", `${registry.host}/tags:c`]);
    expect({ err: none.err, exitCode: none.exitCode }).toEqual({
      err: `mydocker: tag does not exist: ${registry.host}/tags:c`,
      exitCode: 1,
    });
    const unknown = await engine.call(["push", `${registry.host}/unknown:c`]);
    expect(unknown.err).toBe(
      `mydocker: An image does not exist locally with the tag: ${registry.host}/unknown`,
    );
  });

  withRegistry("sends nothing of a blob that is damaged", async () => {
    await pull("-q", `${registry.host}/odd`);
    expectSuccess(await engine.call(["tag", `${registry.host}/odd`, `${registry.host}/damaged`]));
    const { layers } = JSON.parse(registry.manifest("odd:latest"));
    const digest: string = layers[0].digest;
    const path = join(engine.root, "images/blobs/sha256", digest.slice("sha256:".length));
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.with(1000, (bytes[1000] as number) ^ 1));
    registry.forget("odd", digest);
    const { err, exitCode } = await engine.call(["push", `${registry.host}/damaged`]);
    expect({ err, exitCode }).toEqual({
      err: expect.stringContaining(`mydocker: the blob ${digest} is damaged`),
      exitCode: 1,
    });
    writeFileSync(path, bytes);
    await push("-q", `${registry.host}/damaged`);
    await push("-q", `${registry.host}/odd`);
  });
});

describe("what is pulled is what umoci unpacks, file by file", () => {
  const TOOLS = [...REGISTRY_REQUIREMENTS, program("getfattr"), program("unshare")];
  for (const [name, layout] of [
    ["odd", oddLayout],
    ["layers:20", layersLayout],
  ] as const)
    testIf(TOOLS, name, async () => {
      await pull("-q", `${registry.host}/${name}`);
      const image = name.replace(/:.*/, "");
      const bundle = join(engine.directory(`${image}-umoci`), "bundle");
      output(["umoci", "unpack", "--image", `${layout()}:${image}`, bundle]);
      const config = JSON.parse(
        expectSuccess(await engine.call(["image", "inspect", `${registry.host}/${name}`])),
      );
      const layers = config[0].RootFS.Layers.map((id: string) =>
        join(engine.root, "images/layers", id.replace("sha256:", ""), "diff"),
      );
      // umoci's layers leave out directories that did not change, whose time then is the unpacking's.
      const lines = (text: string) =>
        text.split("\n").map((line) => line.replace(/^((?:bin|shared) d .*) [\d.]+$/, "$1"));
      const mine = lines(listLayers(layers, engine.directory(`${image}-mounted`)));
      const theirs = lines(listTree(join(bundle, "rootfs")));
      expect(mine.length).toBeGreaterThan(40);
      expect(mine).toEqual(theirs);
    });
});

describe("an image for several machines", () => {
  const arm = () => `${registry.host}/machines`;
  const index = () => {
    const entry = (name: string, platform: object) => {
      const manifest = registry.manifest(name);
      const digest = `sha256:${new Bun.CryptoHasher("sha256").update(manifest).digest("hex")}`;
      return {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        digest,
        size: manifest.length,
        platform,
      };
    };
    return JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [
        entry("machines:arm", { os: "linux", architecture: "arm64", variant: "v8" }),
        entry("machines:intel", { os: "linux", architecture: "amd64" }),
      ],
    });
  };

  const asAmd64 = (name: string, body: () => Promise<void>) =>
    testIf(
      [...REGISTRY_REQUIREMENTS, process.arch === "x64" ? undefined : "not on amd64"],
      name,
      body,
    );

  asAmd64("is pulled for this one, or for --platform", async () => {
    const copy = join(engine.directory("machines"), "layout");
    output(["cp", "-r", oddLayout(), copy]);
    registry.push(`oci:${copy}:odd`, "machines:intel");
    output(["umoci", "config", "--image", `${copy}:odd`, "--architecture", "arm64"]);
    registry.push(`oci:${copy}:odd`, "machines:arm");
    const { status } = await fetch(`http://${registry.host}/v2/machines/manifests/latest`, {
      method: "PUT",
      body: index(),
      headers: { "Content-Type": "application/vnd.oci.image.index.v1+json" },
    });
    expect(status).toBe(201);
    const architecture = async () =>
      JSON.parse(expectSuccess(await engine.call(["image", "inspect", arm()])))[0].Architecture;
    const text = await pull(arm());
    expect(await architecture()).toBe("amd64");
    const digest = new Bun.CryptoHasher("sha256").update(index()).digest("hex");
    expect(text).toContain(`Digest: sha256:${digest}`);
    await pull("-q", "--platform", "linux/arm64", arm());
    expect(await architecture()).toBe("arm64");
    const none = await engine.call(["pull", "--platform", "linux/s390x", arm()]);
    expect({ err: none.err, exitCode: none.exitCode }).toEqual({
      err: `mydocker: no matching manifest for linux/s390x in the manifest list entries of ${arm()}:latest; there is linux/arm64/v8, linux/amd64`,
      exitCode: 1,
    });
    const wrong = await engine.call(["pull", "--platform", "linux/s390x", `${arm()}:intel`]);
    expect(wrong.err).toContain("does not match the specified platform: wanted linux/s390x");
  });

  asAmd64("is shown by manifest inspect, with all of them with -v", async () => {
    const shown = expectSuccess(await engine.call(["manifest", "inspect", arm()]));
    expect(shown).toBe(JSON.stringify(JSON.parse(index()), null, "\t"));
    const all = JSON.parse(expectSuccess(await engine.call(["manifest", "inspect", "-v", arm()])));
    expect(
      all.map((entry: { Descriptor: { platform: { architecture: string } } }) => [
        entry.Descriptor.platform.architecture,
      ]),
    ).toEqual([["arm64"], ["amd64"]]);
    expect(all[1].OCIManifest).toEqual(JSON.parse(registry.manifest("machines:intel")));
  });

  asAmd64("and pull -a brings every tag", async () => {
    const lines = (await pull("-a", arm())).split("\n");
    expect(lines.filter((line) => / Pulling from machines$/.test(line)).sort()).toEqual([
      "arm: Pulling from machines",
      "intel: Pulling from machines",
      "latest: Pulling from machines",
    ]);
    expect(lines.at(-1)).toBe(arm());
    expect((await engine.call(["pull", "-a", `${arm()}:arm`])).err).toContain(
      "tag can't be used with --all-tags/-a",
    );
  });
});

describe("rmi", () => {
  withRegistry("of a repository's last tag takes its names by digest, and no other's", async () => {
    const [first, second] = [`${registry.host}/odd`, `${registry.host}/odd-too`];
    const digest = /Digest: (\S+)/.exec(await pull(first))?.[1];
    expectSuccess(await engine.call(["tag", first, second]));
    expectSuccess(await engine.call(["push", "-q", second]));
    expectSuccess(await engine.call(["tag", first, `${first}:again`]));
    const rmi = async (name: string) =>
      expectSuccess(await engine.call(["rmi", name]))
        .split("\n")
        .sort();
    expect(await rmi(`${first}:again`)).toEqual([`Untagged: ${first}:again`]);
    expect(await rmi(first)).toEqual([`Untagged: ${first}:latest`, `Untagged: ${first}@${digest}`]);
    const rest = await rmi(second);
    expect(rest.filter((line) => line.startsWith("Untagged"))).toEqual([
      `Untagged: ${second}:latest`,
      `Untagged: ${second}@${digest}`,
    ]);
    expect((await engine.call(["image", "inspect", `${second}@${digest}`])).exitCode).toBe(1);
  });
});

describe("on a terminal", () => {
  withRegistry("each layer has a line, which is drawn again in its place", async () => {
    await pull("-q", `${registry.host}/layers:20`);
    const ids = ["images", "-q", "--no-trunc", `${registry.host}/layers:20`];
    expectSuccess(await engine.call(["rmi", "-f", expectSuccess(await engine.call(ids))]));
    const session = onTerminal(engine, ["pull", `${registry.host}/layers:20`]);
    const { exitCode, output: text } = await session.end();
    expect(exitCode).toBe(0);
    // Up by all twenty lines, and drawn anew.
    expect(text).toContain("\x1b[20A");
    expect(text).toMatch(/[0-9a-f]{12}: Pull complete\r\n/);
    expect(text).toContain(`Status: Downloaded newer image for ${registry.host}/layers:20`);
  });
});
