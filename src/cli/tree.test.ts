import { describe, expect, test } from "bun:test";
import { nearestWord, unknownCommand } from "./suggest.ts";
import { COMMANDS, commandPath, GROUPS, LATER_COMMANDS, lookUp, wordsAfter } from "./tree.ts";

describe("looking up", () => {
  const name = (...words: string[]) => {
    const found = lookUp(words);
    return found.kind === "command" ? [commandPath(found.entry), ...found.rest] : found;
  };

  test.each([
    [
      ["run", "-it", "sh"],
      ["mydocker run", "-it", "sh"],
    ],
    [
      ["container", "run", "sh"],
      ["mydocker run", "sh"],
    ],
    [["ps"], ["mydocker ps"]],
    [["container", "ls"], ["mydocker ps"]],
    [["container", "list"], ["mydocker ps"]],
    [
      ["container", "ps", "-a"],
      ["mydocker ps", "-a"],
    ],
    [["image", "ls"], ["mydocker images"]],
    [
      ["image", "rm", "x"],
      ["mydocker rmi", "x"],
    ],
    [["system", "info"], ["mydocker info"]],
  ])("%j", (words, expected) => {
    expect<unknown>(name(...words)).toEqual(expected);
  });

  test("a group alone, or with options only", () => {
    expect(lookUp(["image"])).toEqual({ kind: "group", group: "image", rest: [] });
    expect(lookUp(["image", "--help"])).toEqual({
      kind: "group",
      group: "image",
      rest: ["--help"],
    });
  });

  test("what is not there", () => {
    expect(lookUp(["ls"])).toEqual({ kind: "unknown", word: "ls" });
    expect(lookUp(["constructor"])).toEqual({ kind: "unknown", word: "constructor" });
    expect(lookUp(["image", "run"])).toEqual({ kind: "unknown", group: "image", word: "run" });
  });
});

test("every command can be loaded, and needs no letter twice", async () => {
  for (const entry of COMMANDS) {
    const { command } = await entry.load();
    const later = Object.values(command.rules.later ?? {}).filter((letter) => letter !== "");
    const letters = Object.values(command.options).flatMap(({ short }) => short ?? []);
    const all = [...letters, ...later];
    expect(new Set(all).size).toBe(all.length);
    for (const name of Object.keys(command.rules.later ?? {}))
      expect(Object.keys(command.options)).not.toContain(name);
  }
});

test("what is to come is not what is here", () => {
  for (const word of wordsAfter().filter((each) => !Object.hasOwn(GROUPS, each)))
    expect(LATER_COMMANDS.has(word)).toBe(false);
});

describe("suggestions", () => {
  test.each([
    ["rnu", "run"],
    ["pss", "ps"],
    ["imaegs", "images"],
    ["verison", "version"],
    ["frobnicate", undefined],
    ["x", undefined],
  ])("%s", (word, nearest) => {
    expect(nearestWord(word, wordsAfter())).toBe(nearest);
  });

  test("an unknown command in Docker's words", () => {
    const error = unknownCommand("frob");
    expect(error.message).toBe("'frob' is not a mydocker command.");
    expect(error.hint).toBe("See 'mydocker --help'.");
    expect(error.exitCode).toBe(1);
    expect(unknownCommand("rn", "container").hint).toBe(
      "Did you mean 'mydocker container run'? See 'mydocker container --help'.",
    );
    expect(unknownCommand("compose").message).toBe(
      "'mydocker compose' is not supported by this version yet",
    );
  });
});
