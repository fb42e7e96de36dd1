import { expect, test } from "bun:test";
import { join } from "node:path";

test("a process without a number here, and this process itself, are never killed", () => {
  // kill(0) would end the whole process group: so in one of its own.
  const code = `import { killProcess } from ${JSON.stringify(join(import.meta.dir, "directory.ts"))};
    killProcess(0);
    killProcess(process.pid);
    console.log("alive");`;
  const { stdout, exitCode } = Bun.spawnSync(["setsid", "--wait", process.execPath, "-e", code]);
  expect({ out: stdout.toString(), exitCode }).toEqual({ out: "alive\n", exitCode: 0 });
});
