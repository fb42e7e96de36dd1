/** Paths as text; nothing is looked up. */

/** Without `.`, `..`, doubled and trailing slashes, as Go's path.Clean does it for absolute paths. */
export function cleanPath(absolute: string): string {
  const parts: string[] = [];
  for (const part of absolute.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** `path` seen from `cwd`. */
export function absolutePath(path: string, cwd: string): string {
  return cleanPath(path.startsWith("/") ? path : `${cwd}/${path}`);
}

/** What `.`, `./x`, `../x` have in common: they are paths even though they are not absolute. */
export function isRelativePath(text: string): boolean {
  return text === "." || text === ".." || text.startsWith("./") || text.startsWith("../");
}
