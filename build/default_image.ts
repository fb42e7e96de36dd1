/**
 * Makes the image that is inside the executable: busybox with a symbolic link per applet. Its bytes
 * depend on the version of Debian's package only.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ARCHITECTURES, type Arch } from "./arch.ts";
import { appletName, type Busybox, COPYRIGHT, findBusybox, PACKAGE } from "./busybox.ts";
import { DIRECTORIES, FILES } from "./image_files.ts";
import { type TarEntry, writeTar } from "./ustar.ts";

/** The copyright file points at the licence's text by this path, where each Debian machine has it. */
const LICENSE = "usr/share/common-licenses/GPL-2";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The names `src/images/default_image.ts` imports. */
const LAYER_FILE = "rootfs.tar.zst";
const METADATA_FILE = "image.json";

/** Writes the image for an architecture into a folder, unless it is there already. */
export function makeDefaultImage(arch: Arch, folder: string): void {
  const busybox = findBusybox(arch);
  const tar = writeTar(layerEntries(busybox), busybox.mtime);
  const metadata = `${JSON.stringify(describeImage(arch, busybox, tar), null, 2)}\n`;
  const layerPath = join(folder, LAYER_FILE);
  const metadataPath = join(folder, METADATA_FILE);
  const isThere = existsSync(layerPath) && existsSync(metadataPath);
  if (isThere && readFileSync(metadataPath, "utf8") === metadata) return;
  mkdirSync(folder, { recursive: true });
  replaceFile(layerPath, Bun.zstdCompressSync(tar, { level: 19 }));
  replaceFile(metadataPath, metadata);
}

function layerEntries(busybox: Busybox): TarEntry[] {
  const file = (path: string, mode: number, content: Uint8Array | string): TarEntry => {
    return { type: "file", path, mode, content };
  };
  return [
    ...Object.entries(DIRECTORIES).map(([path, mode]): TarEntry => {
      return { type: "directory", path, mode };
    }),
    ...Object.entries(FILES).map(([path, [mode, content]]) => file(path, mode, content)),
    file("bin/busybox", 0o755, busybox.binary),
    ...busybox.applets.map((path): TarEntry => {
      return { type: "symlink", path, target: linkTarget(path) };
    }),
    file(COPYRIGHT, 0o644, readFileSync(join(busybox.package.root, COPYRIGHT))),
    file(LICENSE, 0o644, readFileSync(join("/", LICENSE))),
    file(`usr/share/doc/${PACKAGE}/version`, 0o644, versionText(busybox)),
  ];
}

/** Relative, so that it is right from outside of the container, too. */
export function linkTarget(path: string): string {
  const up = "../".repeat(path.split("/").length - 1);
  return path.startsWith("bin/") ? "busybox" : `${up}bin/busybox`;
}

/** What names the sources the binary was made of, as its licence asks for. */
function versionText({ package: { name, version, architecture, builtUsing } }: Busybox): string {
  const lines = [`Package: ${name}`, `Version: ${version}`, `Architecture: ${architecture}`];
  if (builtUsing !== "") lines.push(`Built-Using: ${builtUsing}`);
  return `${lines.join("\n")}\n`;
}

/** What the metadata file says: `DefaultImage` in `src/images/default_image.ts`. */
function describeImage(arch: Arch, busybox: Busybox, tar: Uint8Array) {
  const diffId = `sha256:${new Bun.CryptoHasher("sha256").update(tar).digest("hex")}`;
  const created = new Date(busybox.mtime * 1000).toISOString().replace(".000Z", "Z");
  const { name, version } = busybox.package;
  return {
    reference: "busybox:latest",
    // The image configuration of the OCI image specification.
    config: {
      created,
      architecture: ARCHITECTURES[arch].oci,
      os: "linux",
      config: { Env: [`PATH=${PATH}`], Cmd: ["sh"] },
      rootfs: { type: "layers", diff_ids: [diffId] },
      history: [{ created, created_by: `Debian ${name} ${version}` }],
    },
    layers: [{ diffId, size: tar.length }],
    packageVersion: version,
    applets: [...new Set(busybox.applets.map(appletName))].sort(),
  };
}

function replaceFile(path: string, content: Uint8Array | string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, content);
  renameSync(temporary, path);
}
