import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { examine } from "./executable.ts";

test("a FIFO that is to be executed is named, not opened, which would wait for a writer", () => {
  const folder = mkdtempSync(join(tmpdir(), "mydocker-"));
  try {
    const fifo = join(folder, "fifo");
    expect(Bun.spawnSync(["mkfifo", "-m", "755", fifo]).exitCode).toBe(0);
    expect(examine(fifo)).toMatchObject({
      problem: `exec ${fifo}: permission denied: not a regular file`,
      exitCode: 126,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
