/** Programs of test/fixtures in C. */

import { chmodSync, copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Engine } from "./cli.ts";

/** Compiles one. @param options of the compiler's; without any it is linked statically. @returns its path */
export function compileFixture(engine: Engine, name: string, ...options: string[]): string {
  const linking = options.length === 0 ? ["-static"] : options;
  const binary = join(
    engine.directory("fixtures"),
    [name, ...options].join("").replaceAll("/", "_"),
  );
  const source = join(import.meta.dir, `../fixtures/${name}.c`);
  const command = ["gcc", "-O1", "-w", ...linking, "-o", binary, source];
  const { stderr, success } = Bun.spawnSync(command);
  if (!success) throw new Error(stderr.toString());
  return binary;
}

/** Copies a program into a bundle's root. */
export function install(binary: string, bundle: string, name: string): void {
  const target = join(bundle, "rootfs", name);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(binary, target);
  chmodSync(target, 0o755);
}
