import { describe, expect, test } from "bun:test";
import { InvalidImageConfigError, parseImageConfig } from "./image_config.ts";

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const layer = `sha256:${"0".repeat(64)}`;
const good = {
  architecture: "amd64",
  os: "linux",
  rootfs: { type: "layers", diff_ids: [layer] },
};

test("fields that Go writes as null are absent", () => {
  expect(
    parseImageConfig(bytes({ ...good, history: null, config: { Cmd: null, Env: ["A=1"] } })),
  ).toEqual({
    ...good,
    rootfs: { type: "layers", diff_ids: [layer] },
    config: { Env: ["A=1"] },
  });
});

describe("a configuration that we could not rely on is refused", () => {
  test.each([
    ["not an object", [1]],
    ["no architecture", { ...good, architecture: undefined }],
    ["no root file system", { ...good, rootfs: undefined }],
    [
      "a layer that would be a path",
      { ...good, rootfs: { type: "layers", diff_ids: ["sha256:../../etc"] } },
    ],
    ["a layer that is no string", { ...good, rootfs: { type: "layers", diff_ids: [[layer]] } }],
    ["an environment of numbers", { ...good, config: { Env: [1] } }],
    ["a command that is a string", { ...good, config: { Cmd: "sh" } }],
    ["a user that is a number", { ...good, config: { User: 0 } }],
    ["labels that are no strings", { ...good, config: { Labels: { a: 1 } } }],
    ["a time that is a number", { ...good, created: 1 }],
    ["a health check that is a line", { ...good, config: { Healthcheck: { Test: "true" } } }],
    ["a time before none", { ...good, config: { Healthcheck: { Test: ["NONE"], Timeout: -1 } } }],
  ])("%s", (_, config) => {
    expect(() => parseImageConfig(bytes(config))).toThrow(InvalidImageConfigError);
  });

  test("not JSON", () => {
    expect(() => parseImageConfig(new TextEncoder().encode("{"))).toThrow("is not JSON");
  });
});
