import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { findCycle, findForbidden, type ImportingFile, whyForbidden } from "./helpers/imports.ts";
import {
  importSpecifiers,
  MAX_LINES,
  reexports,
  typeHoles,
  undocumentedExports,
} from "./helpers/source_rules.ts";

const SRC = join(import.meta.dir, "../src");

interface SourceFile extends ImportingFile {
  readonly text: string;
}

/** The files of the program: no tests, no declarations. */
const files: SourceFile[] = [...new Bun.Glob("**/*.ts").scanSync({ cwd: SRC })]
  .filter((path) => !path.endsWith(".test.ts") && !path.endsWith(".d.ts"))
  .sort()
  .map((path) => {
    const text = readFileSync(join(SRC, path), "utf8");
    const imports = importSpecifiers(text).map((specifier) =>
      specifier.startsWith(".") ? relative(SRC, join(SRC, dirname(path), specifier)) : specifier,
    );
    return { path, text, imports };
  });

/** `path: finding` for each finding of a rule in each file. */
function findings(rule: (text: string) => readonly string[]): string[] {
  return files.flatMap(({ path, text }) => rule(text).map((finding) => `${path}: ${finding}`));
}

/** Tables are data, and may be as long as what they list. */
const isTable = ({ text }: SourceFile) => /^\/\*\*[^*]*\b[Tt]able/.test(text);

describe("the sources", () => {
  test("are found", () => {
    const paths = files.map(({ path }) => path);
    expect(paths).toContain("ffi/libc.ts");
    expect(paths).toContain("errors.ts");
    expect(files.find(({ path }) => path === "linux/mount.ts")?.imports).toContain("ffi/libc.ts");
  });

  test("import only from layers below their own", () => {
    expect(findForbidden(files)).toEqual([]);
  });

  test("import in no circle", () => {
    expect(findCycle(files)?.join(" → ")).toBeUndefined();
  });

  test("import nothing from outside of src but packages", () => {
    const outside = files.flatMap(({ path, imports }) =>
      imports.filter((to) => to.startsWith("..")).map((to) => `${path} → ${to}`),
    );
    expect(outside).toEqual([]);
  });

  test("have no barrels", () => {
    expect(findings(reexports)).toEqual([]);
  });

  test("have no files named utils", () => {
    expect(
      files.filter(({ path }) => /(^|\/)(utils?|helpers?|misc|common)\.ts$/.test(path)),
    ).toEqual([]);
  });

  test("go around the type checker nowhere", () => {
    expect(findings(typeHoles)).toEqual([]);
  });

  test("have a docstring on everything exported", () => {
    expect(findings(undocumentedExports)).toEqual([]);
  });

  test(`have no file of over ${MAX_LINES} lines`, () => {
    const long = files
      .filter((file) => file.text.split("\n").length - 1 > MAX_LINES && !isTable(file))
      .map(({ path }) => path);
    expect(long).toEqual([]);
  });
});

describe("the layer rule", () => {
  test.each([
    ["linux/mount.ts", "engine/run.ts", "engine is above linux"],
    ["engine/run.ts", "cli/output.ts", "cli is above engine"],
    ["runtime/create.ts", "network/bridge.ts", "network is beside runtime"],
    ["images/store.ts", "runtime/spec.ts", "runtime is beside images"],
    ["rootfs/apply.ts", "cgroups/manager.ts", "cgroups is beside rootfs"],
    ["cgroups/manager.ts", "runtime/spec.ts", "runtime is above cgroups"],
    ["ffi/fork.ts", "linux/process.ts", "linux is above ffi"],
    ["linux/fd.ts", "bun:ffi", "only ffi/ imports bun:ffi"],
    ["errors.ts", "ffi/bytes.ts", "what everybody may import imports nothing of ours"],
    ["log.ts", "errors.ts", "what everybody may import imports nothing of ours"],
    ["engine/run.ts", "main.ts", "main.ts is above engine"],
    ["helpers/x.ts", "linux/fd.ts", "helpers is in no layer"],
    ["engine/run.ts", "helpers/x.ts", "helpers is in no layer"],
    ["cli/commands/container/run.ts", "runtime/create.ts", "only cli/oci calls runtime itself"],
  ])("forbids %s → %s", (from, to, reason) => {
    expect(whyForbidden(from, to)).toBe(reason);
    expect(findForbidden([{ path: from, imports: [to] }])).toEqual([`${from} → ${to}: ${reason}`]);
  });

  test.each([
    ["cli/commands/container/run.ts", "engine/run.ts"],
    ["cli/oci/create.ts", "runtime/create.ts"],
    ["engine/run.ts", "runtime/create.ts"],
    ["engine/run.ts", "images/store.ts"],
    ["runtime/init.ts", "rootfs/apply.ts"],
    ["runtime/init.ts", "ffi/bytes.ts"],
    ["linux/mount.ts", "errors.ts"],
    ["ffi/libc.ts", "bun:ffi"],
    ["main.ts", "cli/index.ts"],
    ["cli/index.ts", "citty"],
    ["images/default_image.ts", "images/default/image.json"],
  ])("allows %s → %s", (from, to) => {
    expect(whyForbidden(from, to)).toBeUndefined();
  });
});

test("a circle of imports is found wherever it starts", () => {
  const circle = [
    { path: "a", imports: ["b"] },
    { path: "b", imports: ["c"] },
    { path: "c", imports: ["d", "b"] },
    { path: "d", imports: [] },
  ];
  expect(findCycle(circle)).toEqual(["b", "c", "b"]);
  expect(findCycle(circle.toReversed())).toEqual(["c", "b", "c"]);
  expect(findCycle(circle.filter(({ path }) => path !== "b"))).toBeUndefined();
});

test("imports are found in every form, but not in comments", () => {
  const source = [
    'import "./a.ts";',
    'import b from "./b.ts";',
    "import {\n  type C,\n  d,\n} from './x.ts';".replaceAll("'", '"'),
    'import type { E } from "./e.ts";',
    'import layer from "./f.zst" with { type: "file" };',
    'export { g } from "./g.ts";',
    'const h = await import("./h.ts");',
    'type I = import("./i.ts").I;',
    '// import "./no.ts"',
    '/* import("./no.ts") */',
    'const text = "import";',
  ].join("\n");
  expect(importSpecifiers(source)).toEqual([
    "./a.ts",
    "./b.ts",
    "./x.ts",
    "./e.ts",
    "./f.zst",
    "./g.ts",
    "./h.ts",
    "./i.ts",
  ]);
});

test("barrels are found", () => {
  expect(reexports('export * from "./a.ts";\nexport { b } from "./b.ts";')).toEqual([
    "./a.ts",
    "./b.ts",
  ]);
  expect(reexports('export { c };\nexport const d = "from";')).toEqual([]);
});

test("holes in the types are found, but not in text", () => {
  const bad = ["x as any", "f(y: any)", "z as unknown as string", "// @ts-ignore"];
  for (const source of bad) expect(typeHoles(source)).toHaveLength(1);
  expect(typeHoles('throw new Error("as any of them");\n/* as any */')).toEqual([]);
});

test("exports without a docstring are found", () => {
  expect(
    undocumentedExports(
      [
        "/** Documented. */",
        "export function a() {}",
        "export function b() {}",
        "// no docstring",
        "export const c = 1;",
        "// linux/sched.h",
        "export const CLONE_NEWNS = 1;",
        "export interface D {}",
        "/** Overloaded. */",
        "export function e(x: string): void;",
        "export function e(x: number): void;",
        "export async function f() {}",
        "/**",
        " * Long.",
        " */",
        "export abstract class G {}",
      ].join("\n"),
    ),
  ).toEqual(["b", "c", "D", "f"]);
});
