import { describe, expect, test } from "bun:test";
import { parseEnv, parseKeyValueFile, parseLabel, parseSysctl } from "./key_values.ts";

describe("an env file", () => {
  test.each([
    ["", []],
    ["A=1\nB=2", ["A=1", "B=2"]],
    ["A=1\r\nB=2\r\n", ["A=1", "B=2"]],
    ["\uFEFFA=1", ["A=1"]],
    ["# comment\n\n  # another\n  A=1", ["A=1"]],
    ["A='x y' # no comment", ["A='x y' # no comment"]],
    ["A=", ["A="]],
    ["A=b=c", ["A=b=c"]],
    ["A= x ", ["A= x "]],
    ["NAME", ["NAME"]],
    ["A=\udcff\u00e9", ["A=\udcff\u00e9"]],
  ])("%j", (text, entries) => {
    expect(parseKeyValueFile(text, "f")).toEqual(entries);
  });

  test.each([
    ["A=1\nB C=2", "f:2: variable 'B C' contains whitespaces"],
    ["A =1", "f:1: variable 'A ' contains whitespaces"],
    ["export A", "f:1: variable 'export A' contains whitespaces"],
    ["\n\n=x", "f:3: no variable name on line '=x'"],
  ])("%j is refused", (text, message) => {
    expect(() => parseKeyValueFile(text, "f")).toThrow(message);
  });
});

test("-e takes NAME=value and NAME, but needs a name", () => {
  expect(parseEnv("A=1")).toBe("A=1");
  expect(parseEnv("A")).toBe("A");
  expect(() => parseEnv("=x")).toThrow("invalid environment variable: =x");
  expect(() => parseEnv("")).toThrow("invalid environment variable: ");
});

test("a label without a value is empty", () => {
  expect(parseLabel("a=b=c")).toEqual(["a", "b=c"]);
  expect(parseLabel("a")).toEqual(["a", ""]);
  expect(() => parseLabel("=x")).toThrow("invalid label '=x': empty name");
});

test("only sysctls of the container's own namespaces are taken", () => {
  expect(parseSysctl("net.ipv4.ip_forward=1")).toEqual(["net.ipv4.ip_forward", "1"]);
  expect(parseSysctl("kernel.shmmax=a b")).toEqual(["kernel.shmmax", "a b"]);
  for (const text of ["kernel.panic=1", "net.x", "vm.swappiness=1", "net.a b=1", "abc"])
    expect(() => parseSysctl(text)).toThrow(`sysctl '${text}' is not allowed`);
});
