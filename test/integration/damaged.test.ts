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

const ECHO_AND_READ = ["busybox", "sh", "-c", "echo ready; read x"];

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
    const running = engine.start(["run", "-i", "--name", "alive", ...ECHO_AND_READ]);
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

describe("what the command that runs a container says of it", () => {
  for (const what of ["that is no JSON", "that is empty", "of random bytes"]) {
    test(`${what} does not keep rm -f from ending it`, async () => {
      const running = engine.start(["run", "-i", "--name", "mute", ...ECHO_AND_READ]);
      await running.waitForOutput(/ready/);
      const [id = ""] = containers();
      DAMAGES[what]?.(join(engine.runFolder, "owners", id));
      const { exitCode, out, err } = await engine.call(["rm", "-f", "mute"]);
      expect([exitCode, out, err]).toEqual([0, "mute", ""]);
      expect((await running.end()).exitCode).toBe(137);
      expect(containers()).toEqual([]);
    });
  }
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

describe("the name of an image", () => {
  const file = (name: string) => join(engine.root, "images/names", `docker.io%2Flibrary%2F${name}`);
  for (const [what, damage] of Object.entries(DAMAGES)) {
    test(`${what} harms that name only, which rmi -f removes`, async () => {
      const tar = join(engine.directory("tar"), "empty.tar");
      writeFileSync(tar, new Uint8Array(1024));
      const { out: id } = await engine.call(["import", tar, "broken"]);
      damage(file("broken:latest"));

      const listed = await engine.call(["images", "--format", "{{.Repository}}"]);
      expect(listed.out.split("\n").sort()).toEqual(["<none>", "busybox"]);
      expect(listed.err).toContain(`${file("broken:latest")}`);
      expect((await engine.call(["info", "-f", "{{.Images}}"])).out).toBe("2");
      expect((await engine.run(["busybox", "echo", "fine"])).out).toBe("fine");
      for (const args of [
        ["run", "--rm", "broken", "x"],
        ["rmi", "broken"],
      ]) {
        const { exitCode, err } = await engine.call(args);
        expect([exitCode, err]).toEqual([
          args[0] === "run" ? 125 : 1,
          expect.stringContaining("rmi -f broken:latest"),
        ]);
      }
      expect((await engine.call(["rmi", "-f", "broken"])).out).toBe("Untagged: broken:latest");
      expect((await engine.call(["rmi", id])).out).toStartWith(`Deleted: ${id}`);
    });

    test(`${what} is mended if it is the default image's`, async () => {
      damage(file("busybox:latest"));
      const { out, err } = await engine.run(["busybox", "echo", "fine"]);
      expect(out).toBe("fine");
      expect(err).toContain("busybox:latest is the image inside mydocker again");
      const again = await engine.run(["busybox", "echo", "fine"]);
      expect([again.out, again.err]).toEqual(["fine", ""]);
    });
  }
});

describe("the configuration of an image", () => {
  for (const [what, damage] of Object.entries(DAMAGES)) {
    test(`${what} harms that image only, which rmi -f removes`, async () => {
      const tar = join(engine.directory("tar"), "empty.tar");
      writeFileSync(tar, new Uint8Array(1024));
      const { out: id } = await engine.call(["import", tar, "broken"]);
      const file = join(engine.root, "images/ids", id.replace("sha256:", ""), "config.json");
      damage(file);

      const listed = await engine.call(["images", "--format", "{{.Repository}}"]);
      expect(listed.out).toBe("busybox");
      expect(listed.err).toContain(`${file} `);
      expect((await engine.run(["busybox", "echo", "fine"])).out).toBe("fine");
      const { exitCode, err } = await engine.run(["broken", "x"]);
      expect(exitCode).toBe(125);
      expect(err).toContain(`mydocker rmi -f ${id.slice(7, 19)}`);
      expect((await engine.call(["rmi", "-f", "broken"])).out).toContain(`Deleted: ${id}`);
      expect((await engine.call(["images", "-q"])).err).toBe("");
    });
  }

  test("of the default image: the way out is to remove it, and it is unpacked again", async () => {
    const [hex = ""] = readdirSync(join(engine.root, "images/ids"));
    writeFileSync(join(engine.root, "images/ids", hex, "config.json"), "{}");
    const { exitCode, err } = await engine.run(["busybox", "true"]);
    expect(exitCode).toBe(125);
    expect(err).toContain(`mydocker rmi -f ${hex.slice(0, 12)}`);
    expect((await engine.call(["rmi", "-f", hex.slice(0, 12)])).exitCode).toBe(0);
    expect((await engine.run(["busybox", "echo", "fine"])).out).toBe("fine");
  });

  test("of the default image, removed by hand, is unpacked again", async () => {
    const [hex = ""] = readdirSync(join(engine.root, "images/ids"));
    rmSync(join(engine.root, "images/ids", hex), { recursive: true });
    expect((await engine.run(["busybox", "echo", "fine"])).out).toBe("fine");
  });
});

leavesNothingBehind(engine);
