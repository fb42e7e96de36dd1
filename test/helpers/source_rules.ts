/** Rules of style that a source file's text shows. Text is enough: biome keeps the form regular. */

/** The longest a file of `src/` may be. Tables and tests may be longer. */
export const MAX_LINES = 400;

const IMPORT =
  /^(?:import|export)\b(?:[^;"']*?\bfrom\s*)?\s*"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)|\brequire\(\s*"([^"]+)"\s*\)/gm;

/** The specifiers of all imports, of types too, static or not. */
export function importSpecifiers(source: string): string[] {
  return [...withoutComments(source).matchAll(IMPORT)].map(
    ([, from, dynamic, required]) => (from ?? dynamic ?? required) as string,
  );
}

/** Comments may talk of imports. Strings that hold `//` lose their end, which no rule minds. */
function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

const EXPORT =
  /^export (?:declare )?(?:default )?(?:async )?(function\*?|class|abstract class|interface|type|const|let)\s+([\w$]+)/;
/** The kernel's own constants: what they mean is said by the header that a comment names. */
const KERNEL_NAME = /^[A-Z][A-Z0-9]*(_[A-Za-z0-9_]+)?$/;

/** Exported symbols without a docstring directly above. */
export function undocumentedExports(source: string): string[] {
  const lines = source.split("\n");
  const missing: string[] = [];
  for (const [index, line] of lines.entries()) {
    const [, kind, name] = EXPORT.exec(line) ?? [];
    if (name === undefined) continue;
    if (kind === "const" && KERNEL_NAME.test(name)) continue;
    if (isOverload(lines, index, name)) continue;
    if (!/\*\/\s*$/.test(lines[index - 1] ?? "")) missing.push(name);
  }
  return missing;
}

/** Whether the function of this name has its first signature, and so its docstring, further up. */
function isOverload(lines: readonly string[], index: number, name: string): boolean {
  return lines.slice(0, index).some((line) => EXPORT.exec(line)?.[2] === name);
}

/** Exports that only pass on what other files export: a barrel. */
export function reexports(source: string): string[] {
  const found = withoutComments(source).matchAll(/^export\b[^;]*?[\s}*]from\s*"([^"]+)"/gm);
  return [...found].map(([, from]) => from as string);
}

/** Ways around the type checker. */
export function typeHoles(source: string): string[] {
  const code = withoutComments(source).replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
  const holes = code.matchAll(/\bas any\b|<any>|: any\b|\bas unknown as\b|\bas never\b/g);
  const directives = source.matchAll(/@ts-(?:ignore|nocheck|expect-error)/g);
  return [...holes, ...directives].map(([hole]) => hole);
}
