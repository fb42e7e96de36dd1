/**
 * Gets at the files of a Debian package for any architecture, without installing it and without
 * touching this machine's apt: a foreign architecture has its own apt state in a temporary folder.
 */

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { output, tryOutput } from "./command.ts";

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Packages whose binaries are linked into this one, as in its control file; often empty. */
  readonly builtUsing: string;
  /** The folder its files are in, by their paths in the package; `/` if it is installed. */
  readonly root: string;
}

/** Extracted packages stay here, so that only the first build downloads. */
const CACHE = resolve(import.meta.dir, "../node_modules/.cache/mydocker");

/**
 * The package as installed on this machine with the given files unmodified, else from the cache,
 * else as downloaded.
 *
 * @param files The files needed from it, relative to the root; a machine may exclude documentation.
 */
export function findPackage(
  name: string,
  architecture: string,
  files: readonly string[],
): DebianPackage {
  return (
    installedPackage(name, architecture, files) ??
    cachedPackage(name, architecture) ??
    downloadPackage(name, architecture)
  );
}

function installedPackage(
  name: string,
  architecture: string,
  files: readonly string[],
): DebianPackage | undefined {
  const format = "${db:Status-Status}\\n${Version}\\n${Built-Using}";
  const query = tryOutput(["dpkg-query", "-W", "-f", format, `${name}:${architecture}`]);
  const [status, version, builtUsing] = query?.split("\n") ?? [];
  if (status !== "installed" || version === undefined) return undefined;
  // dpkg --verify compares checksums and prints a line per file that is missing or modified.
  const modified = Bun.spawnSync(["dpkg", "--verify", name]).stdout.toString();
  if (files.some((file) => modified.includes(` /${file}\n`))) return undefined;
  return { name, version, architecture, builtUsing: builtUsing ?? "", root: "/" };
}

function cachedPackage(name: string, architecture: string): DebianPackage | undefined {
  if (!existsSync(CACHE)) return undefined;
  const deb = readdirSync(CACHE).find(isDebOf(name, architecture));
  return deb === undefined ? undefined : openDeb(join(CACHE, deb));
}

function isDebOf(name: string, architecture: string): (file: string) => boolean {
  return (file) => file.startsWith(`${name}_`) && file.endsWith(`_${architecture}.deb`);
}

/** Downloads what this machine's apt sources offer now, into the cache. */
export function downloadPackage(name: string, architecture: string): DebianPackage {
  const folder = mkdtempSync(join(tmpdir(), "mydocker-apt-"));
  try {
    const deb = aptDownload(`${name}:${architecture}`, architecture, folder);
    mkdirSync(CACHE, { recursive: true });
    for (const old of readdirSync(CACHE).filter(isDebOf(name, architecture))) {
      rmSync(join(CACHE, old));
      rmSync(extractedRoot(join(CACHE, old)), { recursive: true, force: true });
    }
    const cached = join(CACHE, deb);
    copyFileSync(join(folder, deb), cached);
    return openDeb(cached);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Leaves one .deb in the folder and returns its name. */
function aptDownload(qualifiedName: string, architecture: string, folder: string): string {
  const download = ["apt-get", "--quiet", "--quiet", "download", qualifiedName];
  const native = tryOutput(["dpkg", "--print-architecture"])?.trim();
  if (native === undefined || Bun.which("apt-get") === null) {
    throw new Error(
      `the default image is made of Debian's ${qualifiedName}: build on Debian, or where apt-get is`,
    );
  }
  // The machine's own package lists, if it has any. They may be old and name a file that is gone.
  const ownLists = native === architecture && tryOutput(download, { cwd: folder }) !== undefined;
  if (!ownLists) {
    const env = { APT_CONFIG: writePrivateConfig(folder, architecture) };
    try {
      output(["apt-get", "--quiet", "--quiet", "update"], { env });
      output(download, { cwd: folder, env });
    } catch (cause) {
      throw new Error(`cannot download ${qualifiedName} from this machine's apt sources`, {
        cause,
      });
    }
  }
  const deb = readdirSync(folder).find((file) => file.endsWith(".deb"));
  if (deb === undefined) throw new Error(`apt-get downloaded no ${qualifiedName}`);
  return deb;
}

/**
 * A configuration, read after the machine's own, with the same sources and keys but with lists,
 * cache and architecture of its own; no root needed. See apt.conf(5).
 */
function writePrivateConfig(folder: string, architecture: string): string {
  const lists = join(folder, "lists");
  const archives = join(folder, "archives");
  const status = join(folder, "status");
  const config = join(folder, "apt.conf");
  for (const path of [lists, archives]) mkdirSync(join(path, "partial"), { recursive: true });
  writeFileSync(status, "");
  const text = `
    #clear APT::Architectures;
    #clear APT::Update::Pre-Invoke;
    #clear APT::Update::Post-Invoke;
    #clear APT::Update::Post-Invoke-Success;
    APT::Architecture "${architecture}";
    APT::Architectures { "${architecture}"; };
    APT::Sandbox::User "";
    Acquire::Languages "none";
    Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
    Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
    Dir::State "${folder}";
    Dir::State::lists "${lists}/";
    Dir::State::status "${status}";
    Dir::Cache "${folder}";
    Dir::Cache::archives "${archives}/";
    Dir::Cache::pkgcache "";
    Dir::Cache::srcpkgcache "";
    Dir::Log "${folder}";
  `;
  writeFileSync(config, text);
  return config;
}

/** Extracts a .deb beside itself, unless that was done before. */
function openDeb(deb: string): DebianPackage {
  const format = "${Package}\\n${Version}\\n${Architecture}\\n${Built-Using}";
  const fields = output(["dpkg-deb", "-W", `--showformat=${format}`, deb]).split("\n");
  const [name, version, architecture, builtUsing] = fields;
  if (name === undefined || version === undefined || architecture === undefined) {
    throw new Error(`${deb} has no package name, version and architecture`);
  }
  const root = extractedRoot(deb);
  if (!existsSync(root)) {
    const temporary = mkdtempSync(`${root}.tmp-`);
    output(["dpkg-deb", "-x", deb, temporary]);
    renameSync(temporary, root);
  }
  return { name, version, architecture, builtUsing: builtUsing ?? "", root };
}

function extractedRoot(deb: string): string {
  return deb.replace(/\.deb$/, "");
}
