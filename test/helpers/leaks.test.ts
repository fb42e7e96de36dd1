import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findLeaks, takeSnapshot } from "./leaks.ts";
import { waitFor } from "./wait.ts";

const folder = mkdtempSync(join(tmpdir(), "mydocker-leaks-"));
const folders = { root: join(folder, "root"), runFolder: join(folder, "run") };
afterAll(() => rmSync(folder, { recursive: true }));

test("a machine that did not change has no leaks", async () => {
  const before = takeSnapshot(folders);
  // Somebody else's container may be on its way.
  await waitFor("no leaks", () => findLeaks(before, takeSnapshot(folders)).length === 0);
});

test("a file is found, and one that is missing", () => {
  const before = takeSnapshot(folders);
  mkdirSync(join(folders.root, "containers/x"), { recursive: true });
  writeFileSync(join(folders.root, "containers/x/container.json"), "{}");
  const after = takeSnapshot(folders);
  expect(findLeaks(before, after)).toContain(
    `files: + ${folders.root}/containers/x/container.json`,
  );
  expect(findLeaks(after, before)).toContain(
    `files: - ${folders.root}/containers/x/container.json`,
  );
});

test("an orphan is found for as long as it runs", async () => {
  const before = takeSnapshot(folders);
  const { stdout } = Bun.spawnSync(["sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $!"]);
  const pid = Number(stdout.toString());
  try {
    await waitFor("the orphan", () =>
      findLeaks(before, takeSnapshot(folders)).includes(`processes: + ${pid} sleep`),
    );
  } finally {
    process.kill(pid, "SIGKILL");
  }
  await waitFor("its end", () => findLeaks(before, takeSnapshot(folders)).length === 0);
});

test("things of all kinds are told apart", () => {
  const before = { mounts: ["/ ext4 /dev/vda"], links: ["lo"], cgroups: [] };
  const after = { mounts: ["/ ext4 /dev/vda", "/x overlay o"], links: [], cgroups: ["/a"] };
  expect(findLeaks(before, after)).toEqual([
    "mounts: + /x overlay o",
    "links: - lo",
    "cgroups: + /a",
  ]);
});
