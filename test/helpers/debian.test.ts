import { expect, test } from "bun:test";
import { parseSources } from "./debian.ts";

test("sources are read in the one-line form", () => {
  const text = [
    "# deb http://off.example/debian bookworm main",
    "deb [signed-by=/x arch=amd64] http://one.example/debian bookworm main contrib # mine",
    "deb-src http://two.example/debian bookworm main",
  ].join("\n");
  expect(parseSources("sources.list", text)).toEqual([
    { uri: "http://one.example/debian", suites: ["bookworm"], components: ["main", "contrib"] },
  ]);
});

test("sources are read in the deb822 form", () => {
  const text = [
    "Types: deb deb-src\nURIs: http://one.example/debian\nSuites: bookworm\n bookworm-updates\nComponents: main",
    "Types: deb\nEnabled: no\nURIs: http://off.example/\nSuites: bookworm\nComponents: main",
    "Types: deb-src\nURIs: http://src.example/\nSuites: bookworm\nComponents: main",
  ].join("\n\n");
  expect(parseSources("debian.sources", text)).toEqual([
    {
      uri: "http://one.example/debian",
      suites: ["bookworm", "bookworm-updates"],
      components: ["main"],
    },
  ]);
});
