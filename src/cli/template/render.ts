/** Fills a Go template in. Values are plain JSON data. */
import { FUNCTIONS, isTrue, member, say, type TemplateFunction } from "./functions.ts";
import { templateError } from "./lexer.ts";
import type { Node, Operand, Pipe } from "./parser.ts";

/** @throws {MydockerError} when a field or function does not exist */
export function render(
  nodes: readonly Node[],
  data: unknown,
  functions: Readonly<Record<string, TemplateFunction>> = FUNCTIONS,
): string {
  return new Renderer(data, functions).render(nodes, data);
}

class Renderer {
  constructor(
    readonly root: unknown,
    readonly functions: Readonly<Record<string, TemplateFunction>>,
  ) {}

  render(nodes: readonly Node[], dot: unknown): string {
    return nodes.map((node) => this.#node(node, dot)).join("");
  }

  #node(node: Node, dot: unknown): string {
    if (node.kind === "text") return node.text;
    const value = this.#pipe(node.pipe, dot);
    if (node.kind === "value") return say(value);
    if (!isTrue(value)) return this.render(node.otherwise, dot);
    if (node.kind === "if") return this.render(node.body, dot);
    if (node.kind === "with") return this.render(node.body, value);
    return elements(value)
      .map((each) => this.render(node.body, each))
      .join("");
  }

  #pipe(pipe: Pipe, dot: unknown): unknown {
    let piped: readonly unknown[] = [];
    for (const [first, ...rest] of pipe) {
      const args = [...rest.map((operand) => this.#operand(operand, dot)), ...piped];
      piped = [this.#command(first as Operand, args, dot)];
    }
    return piped[0];
  }

  #command(first: Operand, args: readonly unknown[], dot: unknown): unknown {
    if (first.base.kind === "function") return this.#call(first.base.name, args);
    const last = first.fields.at(-1);
    if (last !== undefined && args.length > 0) {
      const method = first.fields.reduce(entry, this.#base(first.base, dot));
      if (typeof method === "function") return method(...args);
    }
    if (args.length > 0) throw templateError("can't give argument to non-function");
    return this.#operand(first, dot);
  }

  #call(name: string, args: readonly unknown[]): unknown {
    const call = Object.hasOwn(this.functions, name) ? this.functions[name] : undefined;
    if (call === undefined) throw templateError(`function ${JSON.stringify(name)} not defined`);
    return call(args);
  }

  #operand({ base, fields }: Operand, dot: unknown): unknown {
    return fields.reduce(field, this.#base(base, dot));
  }

  #base(base: Operand["base"], dot: unknown): unknown {
    switch (base.kind) {
      case "dot":
        return dot;
      case "root":
        return this.root;
      case "literal":
        return base.value;
      case "pipe":
        return this.#pipe(base.pipe, dot);
      case "function":
        return this.#call(base.name, []);
    }
  }
}

/** A field, or a method of the row's own: `.Label "name"`. */
function field(of: unknown, name: string): unknown {
  const value = entry(of, name);
  if (typeof value === "function") {
    throw templateError(`wrong number of args for ${name}: want 1 got 0`);
  }
  return value;
}

/** A field that is missing is an error, as it is of Go's structs: it is a misspelt name. */
function entry(of: unknown, name: string): unknown {
  if (typeof of === "object" && of !== null && !Array.isArray(of) && Object.hasOwn(of, name))
    return member(of, name);
  throw templateError(`can't evaluate field ${name}`);
}

/** Of a map the values, in the order of their keys. */
function elements(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value !== "object" || value === null)
    throw templateError(`range can't iterate over ${say(value)}`);
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, each]) => each);
}
