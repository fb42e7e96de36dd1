/** The folders and files of the default image besides busybox. */

/** Name, user id, group id, home and shell; those of the busybox image on Docker Hub. */
const USERS = [
  ["root", 0, 0, "/root", "/bin/sh"],
  ["daemon", 1, 1, "/usr/sbin", "/bin/false"],
  ["bin", 2, 2, "/bin", "/bin/false"],
  ["sys", 3, 3, "/dev", "/bin/false"],
  ["sync", 4, 100, "/bin", "/bin/sync"],
  ["mail", 8, 8, "/var/spool/mail", "/bin/false"],
  ["www-data", 33, 33, "/var/www", "/bin/false"],
  ["operator", 37, 37, "/var", "/bin/false"],
  ["nobody", 65534, 65534, "/home", "/bin/false"],
] as const;

const GROUPS = {
  root: 0,
  daemon: 1,
  bin: 2,
  sys: 3,
  adm: 4,
  tty: 5,
  disk: 6,
  lp: 7,
  mail: 8,
  kmem: 9,
  wheel: 10,
  cdrom: 11,
  dialout: 18,
  floppy: 19,
  video: 28,
  audio: 29,
  tape: 32,
  "www-data": 33,
  operator: 37,
  utmp: 43,
  plugdev: 46,
  staff: 50,
  users: 100,
  nogroup: 65534,
} as const;

/** Path to mode. */
export const DIRECTORIES = {
  bin: 0o755,
  dev: 0o755,
  etc: 0o755,
  home: 0o755,
  proc: 0o755,
  root: 0o700,
  run: 0o755,
  sbin: 0o755,
  sys: 0o755,
  tmp: 0o1777,
  usr: 0o755,
  "usr/bin": 0o755,
  "usr/sbin": 0o755,
  "usr/share": 0o755,
  "usr/share/common-licenses": 0o755,
  "usr/share/doc": 0o755,
  "usr/share/doc/busybox-static": 0o755,
  var: 0o755,
  "var/spool": 0o755,
  "var/spool/mail": 0o755,
  "var/tmp": 0o1777,
  "var/www": 0o755,
} as const satisfies Record<string, number>;

/**
 * Path to mode and content. hosts, hostname and resolv.conf are empty: the engine mounts its own on
 * them, and would have to make them in each container's layer if they were missing.
 */
export const FILES = {
  "etc/passwd": [
    0o644,
    text(
      USERS.map(
        ([name, uid, gid, home, shell]) => `${name}:x:${uid}:${gid}:${name}:${home}:${shell}`,
      ),
    ),
  ],
  "etc/shadow": [0o600, text(USERS.map(([name]) => `${name}:*:::::::`))],
  "etc/group": [0o644, text(Object.entries(GROUPS).map(([name, id]) => `${name}:x:${id}:`))],
  "etc/hostname": [0o644, ""],
  "etc/hosts": [0o644, ""],
  "etc/resolv.conf": [0o644, ""],
  "etc/profile": [0o644, text(["umask 022"])],
  "etc/nsswitch.conf": [
    0o644,
    text(["passwd: files", "group: files", "shadow: files", "hosts: files dns"]),
  ],
} as const satisfies Record<string, readonly [mode: number, content: string]>;

function text(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}
