import { describe, expect, test } from "bun:test";
import { parseTemplate } from "./parser.ts";
import { render } from "./render.ts";

const DATA = {
  Name: "web",
  Count: 3,
  On: true,
  Off: false,
  None: null,
  Tags: ["a", "b"],
  Empty: [],
  Config: { Env: ["A=1"], Labels: { b: "2", a: "1" } },
};

const fill = (template: string) => render(parseTemplate(template), DATA);

test.each([
  ["plain", "plain"],
  ["", ""],
  ["{{.Name}}", "web"],
  ["{{ .Name }}-{{.Count}}", "web-3"],
  ["{{$.Name}}", "web"],
  ["{{.Config.Env}}", "[A=1]"],
  ["{{.Config.Labels}}", "map[a:1 b:2]"],
  ["{{.None}}", "<no value>"],
  ["a {{- .Name -}} b", "awebb"],
  ["{{/* nothing */}}x", "x"],
  ['{{"a}}\\"b\\n"}}', 'a}}"b\n'],
  ["{{`raw\\n`}}", "raw\\n"],
  ["{{json .Config.Env}}", '["A=1"]'],
  ["{{json .}}", JSON.stringify(DATA)],
  ['{{join .Tags ", "}}', "a, b"],
  ['{{upper .Name}} {{title .Name}} {{lower "ABC"}}', "WEB Web abc"],
  ["{{.Name | upper | lower}}", "web"],
  ["{{index .Tags 1}}", "b"],
  ['{{index .Config.Labels "a"}}', "1"],
  ['{{index .Config.Labels "constructor"}}', "<no value>"],
  ["{{(index .Config.Env 0)}}", "A=1"],
  ['{{index (split "a=b" "=") 1}}', "b"],
  ["{{len .Tags}}{{len .Name}}", "23"],
  ["{{truncate .Name 2}}", "we"],
  ["{{if .On}}yes{{else}}no{{end}}", "yes"],
  ["{{if .Empty}}yes{{else}}no{{end}}", "no"],
  ["{{if .Off}}1{{else if .On}}2{{else}}3{{end}}", "2"],
  ["{{if and .On (eq .Count 3)}}x{{end}}", "x"],
  ["{{if or .Off .None}}x{{end}}", ""],
  ["{{if not .Off}}x{{end}}", "x"],
  ["{{if eq .Name .Name}}same{{end}}", "same"],
  ["{{if gt .Count 2}}more{{end}}", "more"],
  ["{{range .Tags}}<{{.}}>{{end}}", "<a><b>"],
  ["{{range .Config.Labels}}{{.}}{{$.Name}}{{end}}", "1web2web"],
  ["{{range .Empty}}x{{else}}none{{end}}", "none"],
  ["{{with .Config}}{{.Env}}{{end}}", "[A=1]"],
  ["{{println .Name}}", "web\n"],
])("%j", (template, expected) => {
  expect(fill(template)).toBe(expected);
});

describe("refused", () => {
  test.each([
    ["{{.foo", "unclosed action"],
    ["{{.Foo}}", "can't evaluate field Foo"],
    ["{{.constructor}}", "can't evaluate field constructor"],
    ["{{.Name.Foo}}", "can't evaluate field Foo"],
    ["{{foo .Name}}", 'function "foo" not defined'],
    ["{{constructor}}", 'function "constructor" not defined'],
    ["{{}}", "missing value for command"],
    ["{{.Name |}}", "missing value for command"],
    ["{{if .On}}x", "unexpected EOF"],
    ["{{end}}", "unexpected {{end}}"],
    ["{{else}}", "unexpected {{else}}"],
    ["{{(.Name}}", "unclosed left paren"],
    ["{{.Name)}}", "unexpected )"],
    ["{{.Name .Count}}", "can't give argument to non-function"],
    ["{{range .Count}}{{end}}", "range can't iterate over 3"],
    ["{{index .Tags 2}}", "index out of range: 2"],
    ["{{.Name | @}}", 'unexpected "@"'],
  ])("%j", (template, message) => {
    expect(() => fill(template)).toThrow(message);
  });
});
