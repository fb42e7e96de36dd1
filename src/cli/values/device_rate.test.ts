import { describe, expect, test } from "bun:test";
import {
  parseDeviceBytes,
  parseDeviceOperations,
  parseDeviceWeight,
  parseWeight,
} from "./device_rate.ts";

describe("a device and a number", () => {
  test("are read with or without a unit, up to the last colon", () => {
    expect(parseDeviceBytes("/dev/sda:1mb")).toEqual({ path: "/dev/sda", rate: 1 << 20 });
    expect(parseDeviceBytes("/dev/a:b:512")).toEqual({ path: "/dev/a:b", rate: 512 });
    expect(parseDeviceOperations("/dev/sda:0")).toEqual({ path: "/dev/sda", rate: 0 });
    expect(parseDeviceWeight("/dev/sda:10")).toEqual({ path: "/dev/sda", rate: 10 });
    expect([parseWeight("0"), parseWeight("1000")]).toEqual([0, 1000]);
  });

  test.each([
    [parseDeviceBytes, "/dev/sda", "bad format: /dev/sda"],
    [parseDeviceBytes, ":1mb", "bad format: :1mb"],
    [parseDeviceBytes, "/dev/sda:", "bad format: /dev/sda:"],
    [parseDeviceBytes, "sda:1mb", "bad format for device path: sda:1mb"],
    [parseDeviceBytes, "/dev/sda:fast", "invalid rate for device: /dev/sda:fast"],
    [parseDeviceBytes, "/dev/sda:-1", "invalid rate for device"],
    [parseDeviceOperations, "/dev/sda:1mb", "invalid rate for device"],
    [parseDeviceOperations, "/dev/sda:99999999999999999999", "invalid rate for device"],
    [parseDeviceWeight, "/dev/sda:9", "invalid weight for device: /dev/sda:9"],
    [parseDeviceWeight, "/dev/sda:1001", "invalid weight for device"],
    [parseWeight, "9", "Range of blkio weight is from 10 to 1000"],
    [parseWeight, "", "invalid weight"],
  ])("%p of %j is refused", (parse, text, message) => {
    expect(() => parse(text)).toThrow(message);
  });
});
