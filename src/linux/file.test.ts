import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "./directory.ts";
import { AT_FDCWD, close, O, open } from "./fd.ts";
import { mkdir } from "./file.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "mydocker-file-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("removeTree", () => {
  test("does not follow a symbolic link out of the tree", () => {
    mkdirSync(join(directory, "outside"));
    writeFileSync(join(directory, "outside/keep"), "");
    mkdirSync(join(directory, "tree/sub"), { recursive: true });
    symlinkSync("../../outside", join(directory, "tree/sub/link"));
    removeTree(join(directory, "tree"));
    expect(existsSync(join(directory, "tree"))).toBe(false);
    expect(readdirSync(join(directory, "outside"))).toEqual(["keep"]);
  });

  test("removes a link that it is given, not what that leads to", () => {
    mkdirSync(join(directory, "outside"));
    symlinkSync("outside", join(directory, "link"));
    removeTree(join(directory, "link"));
    expect(readdirSync(directory)).toEqual(["outside"]);
  });

  test("does not mind that there is nothing", () => {
    removeTree(join(directory, "missing"));
  });

  test("needs no descriptor for each level", () => {
    const tree = join(directory, "tree");
    mkdirSync(tree);
    let fd = open(tree, O.O_RDONLY | O.O_DIRECTORY);
    // Deeper than a path can say, and than descriptors last at 1024.
    for (let level = 0; level < 3000; level++) {
      mkdir("d", 0o755, fd);
      const next = open(`/proc/self/fd/${fd}/d`, O.O_RDONLY | O.O_DIRECTORY);
      close(fd);
      fd = next;
    }
    close(fd);
    removeTree(tree, AT_FDCWD);
    expect(readdirSync(directory)).toEqual([]);
  });
});
