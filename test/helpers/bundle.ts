/** Bundles for the OCI face, with as little in config.json as it takes. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine, Result } from "./cli.ts";

/** What a test wants in config.json. */
export interface BundleConfig {
  readonly args: readonly string[];
  readonly mounts?: readonly object[];
  /** put into `process` and `linux` */
  readonly process?: object;
  readonly linux?: object;
}

/** A new bundle: config.json, and `rootfs` with busybox in /bin. @returns its path */
export async function makeBundle(
  engine: Engine,
  name: string,
  config: BundleConfig,
): Promise<string> {
  const bundle = engine.directory(name);
  mkdirSync(join(bundle, "rootfs"), { recursive: true });
  await engine.bash(`"$MYDOCKER" run --rm -v '${bundle}/rootfs:/out' busybox cp -a /bin /out`);
  const types = ["pid", "mount", "network", "ipc", "uts"];
  writeFileSync(
    join(bundle, "config.json"),
    JSON.stringify({
      ociVersion: "1.3.0",
      root: { path: "rootfs" },
      process: {
        cwd: "/",
        user: { uid: 0, gid: 0 },
        args: config.args,
        env: ["PATH=/bin"],
        ...config.process,
      },
      mounts: config.mounts ?? [],
      linux: { namespaces: types.map((type) => ({ type })), ...config.linux },
    }),
  );
  return bundle;
}

let count = 0;

/** `mydocker oci run` of a bundle to its end. */
export function runBundle(engine: Engine, bundle: string): Promise<Result> {
  const id = `test-${process.pid}-${++count}`;
  return engine.call(["oci", "--root", join(engine.folder, "oci"), "run", "-b", bundle, id]);
}
