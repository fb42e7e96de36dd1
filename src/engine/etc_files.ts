/** /etc/hostname, /etc/hosts and /etc/resolv.conf of a container: files of its own, as Docker's. */
import { encodeBytes } from "../ffi/bytes.ts";
import { AT_FDCWD, close, O, open, writeAll } from "../linux/fd.ts";
import { chownAt, ifExists, readFile, unlinkIfExists } from "../linux/file.ts";
import { LOCAL_HOSTS } from "../network/etc.ts";
import type { Paths } from "../paths.ts";
import type { Mount } from "../runtime/spec.ts";
import type { IdRange } from "./id_range.ts";
import { etcDirectory } from "./state_directories.ts";

const NAMES = ["hostname", "hosts", "resolv.conf"] as const;

/** In one directory for all containers (state_directories.ts): to make one for each would take longer. */
export const etcFile = (paths: Paths, id: string, name: (typeof NAMES)[number]): string =>
  `${etcDirectory(paths)}/${id}.${name}`;

/** The mounts that show a container its files. */
export function etcMounts(paths: Paths, id: string): Mount[] {
  return NAMES.map((name) => ({
    destination: `/etc/${name}`,
    type: "bind",
    source: etcFile(paths, id, name),
    options: ["bind", "rprivate"],
  }));
}

/** What the files say; what is left out is the host's, or nothing but the loopback. */
export interface EtcContents {
  readonly hostname: string;
  readonly onHost: boolean;
  readonly hosts?: string;
  readonly resolvConf?: string;
}

/** Writes the files. @param owner whose root they belong to, unless the host's */
export function writeEtcFiles(
  paths: Paths,
  id: string,
  { hostname, onHost, hosts, resolvConf }: EtcContents,
  owner?: IdRange,
): void {
  const usualHosts = () =>
    onHost ? (ifExists(() => readFile("/etc/hosts")) ?? LOCAL_HOSTS) : LOCAL_HOSTS;
  const files: Record<(typeof NAMES)[number], string> = {
    hostname: `${hostname}\n`,
    hosts: hosts ?? usualHosts(),
    "resolv.conf": resolvConf ?? ifExists(() => readFile("/etc/resolv.conf")) ?? "",
  };
  for (const name of NAMES) {
    const path = etcFile(paths, id, name);
    const fd = open(path, O.O_WRONLY | O.O_CREAT | O.O_TRUNC, 0o644);
    try {
      writeAll(fd, encodeBytes(files[name]), path);
      if (owner !== undefined) chownAt(AT_FDCWD, path, owner.uid.hostID, owner.gid.hostID);
    } finally {
      close(fd);
    }
  }
}

/** Writes one of them anew, in its place: it is bound into the container. */
export function rewriteEtcFile(path: string, text: string): void {
  const fd = open(path, O.O_WRONLY | O.O_TRUNC);
  try {
    writeAll(fd, encodeBytes(text), path);
  } finally {
    close(fd);
  }
}

/** Removes the files. Missing is fine. */
export function removeEtcFiles(paths: Paths, id: string): void {
  for (const name of NAMES) unlinkIfExists(etcFile(paths, id, name));
}
