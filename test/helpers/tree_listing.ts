/** What a tree of files is, as text: to compare what two programs unpacked. */

import { output } from "./debian.ts";

/**
 * Lists every file with its kind, mode, owner, size, time, link, device, number of links, contents
 * and attributes, sorted. Sizes of directories belong to the file system.
 */
const LIST = `
cd "$1"
find . -mindepth 1 \\( -type d -printf '%P %y %m %U:%G - %T@\\0' \\) -o -printf '%P %y %m %U:%G %s %T@ %l %n\\0' | sort -z | tr '\\n\\0' '?\\n'
find . \\( -type c -o -type b \\) -exec stat -c '%n %t:%T' {} + | sort
find . -type f -print0 | sort -z | xargs -0 sha256sum
find . -mindepth 1 -print0 | sort -z | xargs -0 getfattr -h -d -m - -e hex 2>/dev/null | grep -v '^trusted.overlay' || :
`;

/** The listing of a directory. */
export const listTree = (directory: string): string =>
  output(["bash", "-euc", LIST, "bash", directory]);

/** The listing of layers, the lowest first, as overlayfs shows them. */
export function listLayers(layers: readonly string[], folder: string): string {
  const lower = [...layers, folder].reverse().join(":");
  return output([
    ...["unshare", "-m", "bash", "-euc", `mount -t overlay -o ro,lowerdir="$2" none "$1"; ${LIST}`],
    ...["bash", folder, lower],
  ]);
}
