/** A real root file system: this machine's Debian, made once by debootstrap from its own mirror. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join, resolve } from "node:path";

const CACHE = resolve(import.meta.dir, "../../node_modules/.cache/mydocker");

/** One line of sources.list(5), or one stanza of the form of deb822(5). */
interface Source {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

/** The sources of a one-line list or a deb822 file, those switched off aside. */
export function parseSources(name: string, text: string): Source[] {
  if (name.endsWith(".sources")) {
    return text.split(/\n\s*\n/).flatMap((stanza) => {
      const field = (key: string) =>
        (new RegExp(`^${key}:(.*(?:\n[ \t].*)*)`, "im").exec(stanza)?.[1] ?? "")
          .split(/\s+/)
          .filter(Boolean);
      if (/^enabled:\s*no/im.test(stanza) || !field("Types").includes("deb")) return [];
      return field("URIs").map((uri) => ({
        uri,
        suites: field("Suites"),
        components: field("Components"),
      }));
    });
  }
  return text.split("\n").flatMap((line) => {
    const [, uri, suite, components] =
      /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line) ?? [];
    if (uri === undefined || suite === undefined) return [];
    return [{ uri, suites: [suite], components: (components ?? "").split(/\s+/).filter(Boolean) }];
  });
}

/** The release that this machine runs, and where its apt gets it. */
export function findMirror(): { suite: string; uri: string } {
  const suite = /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (suite === undefined) throw new Error("/etc/os-release names no release");
  const folder = "/etc/apt/sources.list.d";
  const files = [
    "/etc/apt/sources.list",
    ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []),
  ];
  const sources = files
    .filter(existsSync)
    .flatMap((file) => parseSources(file, readFileSync(file, "utf8")));
  const found = sources.find(
    ({ uri, suites, components }) =>
      /^https?:/.test(uri) && suites.includes(suite) && components.includes("main"),
  );
  if (found === undefined) throw new Error(`no source of apt's has ${suite} main`);
  return { suite, uri: found.uri };
}

/** Runs a command and throws with what it said when it fails. */
export function output(command: readonly string[], env: Record<string, string> = {}): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    env: { ...process.env, ...env },
  });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stdout}${stderr}`);
  return stdout.toString();
}

/** Variables that make debootstrap's downloads go the way of apt's. */
export function proxy(): Record<string, string> {
  const [value] =
    output(["apt-config", "shell", "P", "Acquire::http::Proxy"]).match(/(?<=^P=').*(?='$)/m) ?? [];
  return value === undefined || value === "" || value === "DIRECT" ? {} : { http_proxy: value };
}

/** The path of a Debian as tar.zst; takes half a minute the first time. */
export function debianTarball(): string {
  const { suite, uri } = findMirror();
  const tarball = join(CACHE, `debian-${suite}.tar.zst`);
  if (existsSync(tarball)) return tarball;
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, "debootstrap-"));
  try {
    const root = join(folder, "root");
    output(["debootstrap", "--variant=minbase", suite, root, uri], proxy());
    output([
      "bash",
      "-o",
      "pipefail",
      "-c",
      'tar --numeric-owner --xattrs -C "$1" -cf - . | zstd -q -T0 -3 -o "$2"',
      "-",
      root,
      join(folder, "tarball"),
    ]);
    renameSync(join(folder, "tarball"), tarball);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return tarball;
}
