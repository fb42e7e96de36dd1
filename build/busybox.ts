/** Debian's statically linked busybox for an architecture, and the list of its applets. */

import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ARCHITECTURES, type Arch, hostArch } from "./arch.ts";
import { output } from "./command.ts";
import { type DebianPackage, downloadPackage, findPackage } from "./debian_package.ts";

export const PACKAGE = "busybox-static";
export const COPYRIGHT = `usr/share/doc/${PACKAGE}/copyright`;

/** Debian 12 has it in the first place; since the merge of /usr it is in the second. */
const PLACES = ["bin/busybox", "usr/bin/busybox"] as const;

export interface Busybox {
  readonly package: DebianPackage;
  readonly path: string;
  readonly binary: Uint8Array;
  /** Seconds since the epoch: the date of Debian's build. */
  readonly mtime: number;
  /** Where busybox would install its applets, such as `bin/sh`; sorted. */
  readonly applets: readonly string[];
}

export function findBusybox(arch: Arch): Busybox {
  const found = open(findPackage(PACKAGE, ARCHITECTURES[arch].debian, [...PLACES, COPYRIGHT]));
  const host = hostArch();
  // Only a binary for this machine can be asked for its list; it answers for the other one.
  const list = output([arch === host ? found.path : runnable(found, host).path, "--list-full"]);
  if (!holdsAppletNames(found.binary, list)) {
    throw new Error(`${PACKAGE} ${found.package.version} for ${arch} and for ${host} differ`);
  }
  return { ...found, applets: parseApplets(list) };
}

type Found = Omit<Busybox, "applets">;

function open(debianPackage: DebianPackage): Found {
  const path = PLACES.map((place) => join(debianPackage.root, place)).find(existsSync);
  if (path === undefined) throw new Error(`${PACKAGE} has no busybox in ${debianPackage.root}`);
  const mtime = Math.floor(statSync(path).mtimeMs / 1000);
  return { package: debianPackage, path, binary: readFileSync(path), mtime };
}

/** The busybox for this machine of another one's version. */
function runnable(other: Found, host: Arch): Found {
  const { version } = other.package;
  const architecture = ARCHITECTURES[host].debian;
  const found = open(findPackage(PACKAGE, architecture, PLACES));
  if (sameSource(found.package.version, version)) return found;
  const downloaded = open(downloadPackage(PACKAGE, architecture));
  if (sameSource(downloaded.package.version, version)) return downloaded;
  throw new Error(
    `${PACKAGE} is ${version} for ${other.package.architecture}, but ${found.package.version} ` +
      `for ${architecture}: remove node_modules/.cache/mydocker to download both again`,
  );
}

/** Whether two versions differ at most in the number of a binary-only rebuild. */
export function sameSource(a: string, b: string): boolean {
  const source = (version: string) => version.replace(/\+b\d+$/, "");
  return source(a) === source(b);
}

/**
 * Parses `busybox --list-full`.
 *
 * @returns Sorted paths, without busybox itself and `linuxrc`, which is for initial RAM disks.
 */
export function parseApplets(listFull: string): string[] {
  const paths = lines(listFull).filter((path) => !["bin/busybox", "linuxrc"].includes(path));
  const wrong = paths.find((path) => !/^(usr\/)?s?bin\/[^/]+$/.test(path));
  if (wrong !== undefined) throw new Error(`busybox has an applet in an unknown place: ${wrong}`);
  if (!paths.includes("bin/sh")) throw new Error("busybox has no applet sh");
  return paths.sort();
}

export function appletName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Whether a binary holds just these applets: it keeps their names in this order, NUL-separated. */
export function holdsAppletNames(binary: Uint8Array, listFull: string): boolean {
  const names = lines(listFull).map(appletName);
  return Buffer.from(binary).includes(`\0${names.join("\0")}\0`);
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
