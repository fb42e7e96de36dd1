/** `bun build.ts`: makes dist/mydocker. `bun build.ts --help` lists the options. */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { hostArch, parseArch } from "./build/arch.ts";
import { buildConstants } from "./build/constants.ts";
import { makeDefaultImage } from "./build/default_image.ts";
import { buildExecutable } from "./build/executable.ts";

const ROOT = import.meta.dir;

const USAGE = `Usage: bun build.ts [options]

  --target x64|arm64   architecture to build for (default: this machine's)
  --outdir FOLDER      where to (default: dist, or dist/TARGET for another architecture)
  --entry FILE         program to compile (default: src/main.ts)
  --image-only         only make the default image, which the sources import`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      target: { type: "string", default: hostArch() },
      outdir: { type: "string" },
      entry: { type: "string", default: join(ROOT, "src/main.ts") },
      "image-only": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const target = parseArch(values.target);
  const isForeign = target !== hostArch();
  const imageFolder = isForeign
    ? join(ROOT, "node_modules/.cache/mydocker/image", target)
    : join(ROOT, "src/images/default");
  makeDefaultImage(target, imageFolder);
  if (values["image-only"]) return;
  const executable = await buildExecutable({
    entry: values.entry,
    target,
    outdir: values.outdir ?? join(ROOT, "dist", isForeign ? target : ""),
    constants: await buildConstants(),
    imageFolder,
  });
  const megabytes = (Bun.file(executable).size / 1e6).toFixed(0);
  console.log(`${executable} (${target}, ${megabytes} MB)`);
}

try {
  await main();
} catch (error) {
  for (let cause: unknown = error; cause !== undefined; ) {
    console.error(`build: ${cause instanceof Error ? cause.message : cause}`);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  process.exitCode = 1;
}
