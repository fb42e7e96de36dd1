import { expect, test } from "bun:test";
import { statePaths } from "./paths.ts";

test("a relative state directory is one of where we are, not the usual one", () => {
  expect(statePaths({ MYDOCKER_ROOT: "state/", MYDOCKER_RUN: "./run" })).toEqual({
    root: `${process.cwd()}/state`,
    run: `${process.cwd()}/./run`,
  });
});

test("without a name, or with an empty one, it is the usual one", () => {
  const usual = { root: "/var/lib/mydocker", run: "/run/mydocker" };
  expect(statePaths({})).toEqual(usual);
  expect(statePaths({ MYDOCKER_ROOT: "", MYDOCKER_RUN: "" })).toEqual(usual);
  expect(statePaths({ MYDOCKER_ROOT: "/x//" })).toEqual({ ...usual, root: "/x" });
});
