/** /etc/hostname, /etc/hosts and /etc/resolv.conf of a container: files of its own, as Docker's. */
import { encodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { close, O, open, writeAll } from "../linux/fd.ts";
import { ifExists, makeDirectories, mkdir, readFile, removeTree } from "../linux/file.ts";
import type { Paths } from "../paths.ts";
import type { Mount } from "../runtime/spec.ts";
import type { RunOptions } from "./run_options.ts";

const LOCAL_HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

const directoryOf = (paths: Paths, id: string): string => `${paths.run}/containers/${id}`;

/** Writes the files. @returns the mounts that show them */
export function makeEtcFiles(
  paths: Paths,
  id: string,
  options: Pick<RunOptions, "network">,
  hostname: string,
): Mount[] {
  const directory = directoryOf(paths, id);
  try {
    mkdir(directory, 0o700);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    makeDirectories(directory);
  }
  const onHost = options.network === "host";
  const files: Record<string, string> = {
    hostname: `${hostname}\n`,
    hosts: onHost ? (ifExists(() => readFile("/etc/hosts")) ?? LOCAL_HOSTS) : LOCAL_HOSTS,
    "resolv.conf": ifExists(() => readFile("/etc/resolv.conf")) ?? "",
  };
  return Object.entries(files).map(([name, text]) => {
    const source = `${directory}/${name}`;
    const fd = open(source, O.O_WRONLY | O.O_CREAT | O.O_TRUNC, 0o644);
    try {
      writeAll(fd, encodeBytes(text));
    } finally {
      close(fd);
    }
    return { destination: `/etc/${name}`, type: "bind", source, options: ["bind", "rprivate"] };
  });
}

export function removeEtcFiles(paths: Paths, id: string): void {
  removeTree(directoryOf(paths, id));
}
