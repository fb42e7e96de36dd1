/** The rules of the layers, as a function of what files import. */

/** What a file of `src/` imports, by paths relative to `src/`; packages by their names. */
export interface ImportingFile {
  readonly path: string;
  readonly imports: readonly string[];
}

/** From the top down. A file may import from layers below its own, and from its own folder. */
const LAYERS: readonly (readonly string[])[] = [
  ["main.ts"],
  ["cli"],
  ["engine"],
  ["images", "network", "storage", "volumes", "runtime"],
  ["namespaces", "rootfs", "cgroups", "seccomp", "capabilities", "netlink", "staging", "systemd"],
  ["linux"],
  ["ffi"],
];

/** Importable from anywhere, and importing nothing of ours. */
const COMMON = ["errors.ts", "paths.ts", "log.ts", "quote.ts"];

/** The part of the architecture that a file belongs to: its first folder, or its own name. */
function partOf(path: string): string {
  return path.split("/")[0] as string;
}

/** The number of a part's layer, 0 on top; undefined for a part that the architecture does not have. */
function layerOf(part: string): number | undefined {
  const index = LAYERS.findIndex((layer) => layer.includes(part));
  return index === -1 ? undefined : index;
}

/** Why `from` may not import `to` (a path relative to `src/`, or a package); undefined if it may. */
export function whyForbidden(from: string, to: string): string | undefined {
  if (to === "bun:ffi") return partOf(from) === "ffi" ? undefined : "only ffi/ imports bun:ffi";
  if (!to.endsWith(".ts") && !to.includes("/default/")) return undefined; // a package
  if (COMMON.includes(from)) return "what everybody may import imports nothing of ours";
  if (COMMON.includes(to)) return undefined;
  const [fromPart, toPart] = [partOf(from), partOf(to)];
  if (fromPart === toPart) return undefined;
  const [fromLayer, toLayer] = [layerOf(fromPart), layerOf(toPart)];
  if (fromLayer === undefined) return `${fromPart} is in no layer`;
  if (toLayer === undefined) return `${toPart} is in no layer`;
  if (toLayer < fromLayer) return `${toPart} is above ${fromPart}`;
  if (toLayer === fromLayer) return `${toPart} is beside ${fromPart}`;
  if (fromPart === "cli" && toPart === "runtime" && !from.startsWith("cli/oci/")) {
    return "only cli/oci calls runtime itself";
  }
  return undefined;
}

/** All forbidden imports, as `from → to: reason`. */
export function findForbidden(files: readonly ImportingFile[]): string[] {
  return files.flatMap(({ path, imports }) =>
    imports.flatMap((to) => {
      const reason = whyForbidden(path, to);
      return reason === undefined ? [] : [`${path} → ${to}: ${reason}`];
    }),
  );
}

/** A cycle of imports as the paths on it, the first one repeated at the end; undefined if there is none. */
export function findCycle(files: readonly ImportingFile[]): string[] | undefined {
  const imports = new Map(files.map((file) => [file.path, file.imports]));
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return undefined;
    for (const next of imports.get(path) ?? []) {
      const cycle = visit(next, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const { path } of files) {
    const cycle = visit(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
