/** An image for other engines: the busybox of ours, in the form that `docker save` writes. */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { archive } from "./tar_builder.ts";

const LAYER = join(import.meta.dir, "../../src/images/default/rootfs.tar.zst");

/** Writes an archive for `docker load` and `ctr image import`. */
export function writeImageArchive(path: string, reference: string): void {
  const layer = Bun.zstdDecompressSync(readFileSync(LAYER));
  const digest = createHash("sha256").update(layer).digest("hex");
  const config = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: { Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["sh"] },
    rootfs: { type: "layers", diff_ids: [`sha256:${digest}`] },
    history: [{ created_by: "test" }],
  };
  const manifest = [{ Config: "config.json", RepoTags: [reference], Layers: ["layer.tar"] }];
  writeFileSync(
    path,
    archive(
      { name: "manifest.json", data: JSON.stringify(manifest) },
      { name: "config.json", data: JSON.stringify(config) },
      { name: "layer.tar", data: layer },
    ),
  );
}
