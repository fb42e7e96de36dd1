/** `image verify`: what somebody or something changed in the store is found, and the way out is one. */
import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setXattr } from "../../src/linux/xattr.ts";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { archive, pax } from "../helpers/tar_builder.ts";

const engine = useEngine();
const tar = archive(
  { name: "./", type: "5", mode: 0o755, mtime: 3 },
  pax([
    ["SCHILY.xattr.user.note", "1"],
    ["mtime", "1700000000.123456789"],
  ]),
  { name: "dir/file", data: "content".repeat(2000), mode: 0o640, uid: 3 },
  { name: "dir/hard", type: "1", link: "dir/file" },
  { name: "link", type: "2", link: "dir/file" },
  { name: "null", type: "3", major: 1, minor: 3 },
  { name: "fifo", type: "6" },
  { name: "opaque/.wh..wh..opq" },
  { name: "opaque/new", data: "new" },
  { name: "lower/.wh.gone" },
  { name: "empty/", type: "5", mode: 0o1777 },
  { name: "twice", data: "first, and longer" },
  { name: "twice", data: "second" },
  { name: "was-a-directory/with/a/file", data: "x" },
  { name: "was-a-directory", data: "a file now" },
  { name: "link/.wh.below" }, // umoci writes such ones
);

/** Imports the image anew. @returns its id, its layer's directory and what is stored of it */
async function make() {
  await engine.call(["rmi", "-f", "subject"]);
  const { out } = await engine.call(["import", "-", "subject"], { stdin: tar });
  const images = join(engine.root, "images");
  const id = out.slice(7);
  const [manifest = ""] = readdirSync(join(images, "ids", id, "manifests"));
  const { layers } = JSON.parse(
    readFileSync(join(images, "ids", id, "manifests", manifest), "utf8"),
  );
  const { rootfs } = JSON.parse(readFileSync(join(images, "ids", id, "config.json"), "utf8"));
  return {
    id: out,
    diff: join(images, "layers", rootfs.diff_ids[0].slice(7), "diff"),
    layer: join(images, "layers", rootfs.diff_ids[0].slice(7)),
    blob: join(images, "blobs/sha256", layers[0].digest.slice(7)),
    manifest: join(images, "ids", id, "manifests", manifest),
    config: join(images, "ids", id, "config.json"),
  };
}
type Made = Awaited<ReturnType<typeof make>>;

const flip = (path: string, at: number) => {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] as number) ^ 1;
  const { atime, mtime } = statSync(path);
  writeFileSync(path, bytes);
  utimesSync(path, atime, mtime);
};

const DAMAGES: Readonly<Record<string, readonly [(made: Made) => void, RegExp]>> = {
  "a bit of a file": [
    ({ diff }) => flip(join(diff, "opaque/new"), 1),
    /"opaque\/new" has another content/,
  ],
  "a bit of a file, whose time tells as well": [
    ({ diff }) => flip(join(diff, "dir/file"), 9000),
    /"dir\/file" was changed at another time/,
  ],
  "a file that is longer": [
    ({ diff }) => appendFileSync(join(diff, "dir/file"), "x"),
    /"dir\/file" has 14001 bytes, and not 14000/,
  ],
  "a file that is gone": [({ diff }) => rmSync(join(diff, "twice")), /"twice" is missing/],
  "a file that came": [
    ({ diff }) => writeFileSync(join(diff, "dir/new"), ""),
    /"dir\/new" is not in its archive/,
  ],
  "a directory that is gone": [
    ({ diff }) => rmSync(join(diff, "opaque"), { recursive: true }),
    /"opaque" is missing/,
  ],
  "a directory that came": [
    ({ diff }) => mkdirSync(join(diff, "a/b/c"), { recursive: true }),
    /"a" is not in its archive/,
  ],
  "a mode": [
    ({ diff }) => chmodSync(join(diff, "empty"), 0o777),
    /"empty" has the mode 777, and not 1777/,
  ],
  "an owner": [
    ({ diff }) => chownSync(join(diff, "twice"), 1, 2),
    /"twice" belongs to 1:2, and not to 0:0/,
  ],
  "a time": [
    ({ diff }) => utimesSync(join(diff, "twice"), 1, 1),
    /"twice" was changed at another time/,
  ],
  "the root's time": [({ diff }) => utimesSync(diff, 1, 1), /"\/" was changed at another time/],
  "an attribute": [
    ({ diff }) => setXattr(join(diff, "dir/file"), "user.note", Uint8Array.of(0x32)),
    /"dir\/file" has another attribute "user.note"/,
  ],
  "one attribute more": [
    ({ diff }) => setXattr(join(diff, "twice"), "user.more", Uint8Array.of(0x32)),
    /"twice" has an attribute "user.more"/,
  ],
  "a link": [
    ({ diff }) => {
      rmSync(join(diff, "link"));
      symlinkSync("/etc/passwd", join(diff, "link"));
    },
    /"link" leads to "\/etc\/passwd"/,
  ],
  "a hard link that is a copy": [
    ({ diff }) => {
      rmSync(join(diff, "dir/hard"));
      writeFileSync(join(diff, "dir/hard"), readFileSync(join(diff, "dir/file")));
    },
    /"dir\/hard" is no hard link to "dir\/file"/,
  ],
  "a hard link to another file": [
    ({ diff }) => {
      rmSync(join(diff, "twice"));
      linkSync(join(diff, "opaque/new"), join(diff, "twice"));
    },
    /"twice" is a hard link to "opaque\/new"/,
  ],
  "a kind of file": [
    ({ diff }) => {
      rmSync(join(diff, "fifo"));
      mkdirSync(join(diff, "fifo"));
    },
    /"fifo" is a directory, and not a fifo/,
  ],
  "a directory that hides": [
    ({ diff }) => setXattr(join(diff, "empty"), "trusted.overlay.opaque", Uint8Array.of(0x79)),
    /"empty" hides what is below it/,
  ],
  "a whiteout": [({ diff }) => rmSync(join(diff, "lower/gone")), /"lower\/gone" is missing/],
  "the layer": [({ layer }) => rmSync(layer, { recursive: true }), /its layer .* is missing/],
  "what is known of the layer": [
    ({ layer }) => writeFileSync(join(layer, "layer.json"), "{}"),
    /layer.json: no size in it/,
  ],
  "a bit of the blob": [
    ({ blob }) => flip(blob, 100),
    /its blob .* (is damaged|does not have that)/,
  ],
  "the last bit of the blob": [
    ({ blob }) => flip(blob, statSync(blob).size - 1),
    /its blob .* (is damaged|does not have that)/,
  ],
  "the blob's end": [({ blob }) => truncateSync(blob, 50), /its blob .* has 50 bytes, and not \d+/],
  "the blob": [({ blob }) => rmSync(blob), /its blob .* is missing/],
  "the blob, for another": [
    ({ blob }) => {
      rmSync(blob);
      symlinkSync("/etc/passwd", blob);
    },
    /ELOOP|symbolic link/,
  ],
  "the blob, for a directory": [
    ({ blob }) => {
      rmSync(blob);
      mkdirSync(join(blob, "within"), { recursive: true });
    },
    /its blob .* has \d+ bytes|EISDIR|damaged/,
  ],
  "the manifest": [({ manifest }) => flip(manifest, 5), /manifests.* does not have that digest/],
  "the manifest's file": [({ manifest }) => rmSync(manifest), /it has no manifest in/],
  "the configuration": [({ config }) => flip(config, 5), /config.json does not have that digest/],
  "the configuration's file": [
    ({ config }) => renameSync(config, `${config}.old`),
    /config.json is missing/,
  ],
};

test("finds nothing wrong with what is whole", async () => {
  const { id } = await make();
  const { exitCode, out, err } = await engine.call(["image", "verify"]);
  expect([exitCode, err]).toEqual([0, ""]);
  expect(out.split("\n").sort()).toEqual(
    expect.arrayContaining([
      `${id} subject:latest: whole`,
      expect.stringMatching(/busybox:latest: whole$/),
    ]),
  );
});

describe("finds", () => {
  for (const [what, [damage, message]] of Object.entries(DAMAGES))
    test(`${what}, and says the way out`, async () => {
      const made = await make();
      const { id } = made;
      damage(made);

      const { exitCode, out, err } = await engine.call(["image", "verify"]);
      expect(exitCode).toBe(1);
      expect(out.split("\n").filter((line) => line.endsWith("damaged"))).toEqual([
        `${id} subject:latest: damaged`,
      ]);
      expect(out).toMatch(/busybox:latest: whole$/m);
      expect(err).toMatch(message);
      expect(err).toStartWith(`mydocker: the image ${id} is damaged: `);
      // The way out, word for word.
      const [, removal = ""] =
        /; `mydocker (rmi -f [0-9a-f]+)`, then pull, load or import it again$/.exec(err) ?? [];
      const removed = await engine.call(removal.split(" "));
      expect([removed.exitCode, removed.err]).toEqual([0, ""]);
    });
});

test("finds what is damaged in a layer that two images have, and the containers of both", async () => {
  const { id, diff } = await make();
  const { out: second } = await engine.call(["import", "-c", "CMD x", "-", "second"], {
    stdin: tar,
  });
  const { out: container } = await engine.call(["create", "--name", "user", "second", "x"]);
  writeFileSync(join(diff, "opaque/new"), "bad");
  const { exitCode, err } = await engine.call(["image", "verify", "subject"]);
  expect(exitCode).toBe(1);
  expect(err).toContain(`\`mydocker rm -f ${container.slice(0, 12)}\` and \`mydocker rmi -f `);
  for (const image of [id, second]) expect(err).toContain(image.slice(7, 19));
  expect((await engine.call(["image", "verify", "-q"])).out.split("\n")).toHaveLength(2);
  await engine.call(["rm", "user"]);
  await engine.call(["rmi", "-f", "subject", "second"]);
});

test("finds what is damaged in the image of the executable, which comes back whole", async () => {
  const [layer = ""] = readdirSync(join(engine.root, "images/layers"));
  const busybox = join(engine.root, "images/layers", layer, "diff/bin/busybox");
  const bytes = readFileSync(busybox);
  flip(busybox, 5000);
  const { exitCode, err } = await engine.call(["image", "verify"]);
  expect(exitCode).toBe(1);
  expect(err).toMatch(/"bin\/busybox" (was changed|has another content)/);
  expect(err).toMatch(/`mydocker rmi -f [0-9a-f]{12}`, its next use unpacks it again$/);
  await engine.call(["rmi", "busybox"]);
  const { out } = await engine.run(["--network", "none", "busybox", "echo", "whole"]);
  expect(out).toBe("whole");
  expect(Buffer.compare(readFileSync(busybox), bytes)).toBe(0);
  expect((await engine.call(["image", "verify"])).exitCode).toBe(0);
});

test("says so when there is no such image", async () => {
  const { exitCode, out, err } = await engine.call(["image", "verify", "nowhere"]);
  expect([exitCode, out, err]).toEqual([1, "", "mydocker: No such image: nowhere:latest"]);
});

leavesNothingBehind(engine);
