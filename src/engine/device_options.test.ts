import { expect, test } from "bun:test";
import { DEFAULT_DEVICE_RULES } from "../runtime/oci_defaults.ts";
import type { Device } from "../runtime/spec.ts";
import { DEFAULT_DEVICES } from "./defaults.ts";
import { containerDevices, type HostNodes } from "./device_options.ts";
import type { RunOptions } from "./run_options.ts";

const node = (path: string, type: "b" | "c", major: number, minor: number): Device => ({
  path,
  type,
  major,
  minor,
  fileMode: 0o660,
});

const host: HostNodes = {
  all: () => [node("/dev/kvm", "c", 10, 232)],
  at: (path) =>
    path === "/dev/sda"
      ? [node("", "b", 8, 0)]
      : path === "/dev/snd"
        ? [node("/timer", "c", 116, 33), node("/by/id", "c", 116, 0)]
        : "no such file or directory",
};

const devices = (options: Partial<RunOptions>) =>
  containerDevices(
    { privileged: false, devices: [], deviceRules: [], ...options } as unknown as RunOptions,
    host,
  );

test("a plain container has Docker's nodes and rules", () => {
  expect(devices({})).toEqual({ nodes: DEFAULT_DEVICES, rules: DEFAULT_DEVICE_RULES });
});

test("a device comes with a node and a rule, all of a directory likewise", () => {
  const { nodes, rules } = devices({
    devices: [
      { source: "/dev/sda", target: "/dev/disk", access: "r" },
      { source: "/dev/snd", target: "/x", access: "rwm" },
    ],
    deviceRules: [{ allow: true, type: "c", major: 10, minor: -1, access: "w" }],
  });
  expect(nodes.slice(DEFAULT_DEVICES.length).map(({ path }) => path)).toEqual([
    "/dev/disk",
    "/x/timer",
    "/x/by/id",
  ]);
  expect(rules.slice(DEFAULT_DEVICE_RULES.length)).toEqual([
    { allow: true, type: "b", major: 8, minor: 0, access: "r" },
    { allow: true, type: "c", major: 116, minor: 33, access: "rwm" },
    { allow: true, type: "c", major: 116, minor: 0, access: "rwm" },
    { allow: true, type: "c", major: 10, minor: -1, access: "w" },
  ]);
});

test("a device may take the place of one of the usual ones", () => {
  const { nodes } = devices({
    devices: [{ source: "/dev/sda", target: "/dev/null", access: "rwm" }],
  });
  expect(nodes.filter(({ path }) => path === "/dev/null")).toEqual([node("/dev/null", "b", 8, 0)]);
});

test("a privileged container has the host's nodes, and may use everything", () => {
  const { nodes, rules } = devices({
    privileged: true,
    devices: [{ source: "/dev/sda", target: "/dev/disk", access: "r" }],
  });
  expect(nodes.map(({ path }) => path)).toEqual(["/dev/kvm", "/dev/disk"]);
  expect(rules).toEqual([{ allow: true, type: "a", access: "rwm" }]);
});

test("what is no device is named", () => {
  expect(() =>
    devices({ devices: [{ source: "/dev/nosuch", target: "/dev/x", access: "r" }] }),
  ).toThrow(
    'error gathering device information while adding custom device "/dev/nosuch": no such file or directory',
  );
});
