import { describe, expect, test } from "bun:test";
import { holdsAppletNames, parseApplets, sameSource } from "./busybox.ts";
import { linkTarget } from "./default_image.ts";

test("versions that differ in a binary rebuild only are of the same source", () => {
  expect(sameSource("1:1.35.0-4+b3", "1:1.35.0-4+b4")).toBe(true);
  expect(sameSource("1:1.35.0-4+b3", "1:1.35.0-4")).toBe(true);
  expect(sameSource("1:1.35.0-4", "1:1.36.0-4")).toBe(false);
});

describe("the applets", () => {
  test("are sorted, without busybox itself", () => {
    expect(parseApplets("usr/bin/wc\nbin/sh\nlinuxrc\nbin/busybox\nsbin/ip\n")).toEqual([
      "bin/sh",
      "sbin/ip",
      "usr/bin/wc",
    ]);
  });

  test("must be in known places, and have a shell", () => {
    expect(() => parseApplets("bin/sh\n../evil\n")).toThrow("unknown place");
    expect(() => parseApplets("bin/ls\n")).toThrow("no applet sh");
  });

  test("are found in a binary in their order only", () => {
    const binary = new TextEncoder().encode("\x7fELF...\0[\0ls\0sh\0rest");
    expect(holdsAppletNames(binary, "bin/[\nbin/ls\nbin/sh\n")).toBe(true);
    expect(holdsAppletNames(binary, "bin/ls\nbin/[\nbin/sh\n")).toBe(false);
  });

  test("link to busybox by paths that are right from anywhere", () => {
    expect(linkTarget("bin/sh")).toBe("busybox");
    expect(linkTarget("sbin/ip")).toBe("../bin/busybox");
    expect(linkTarget("usr/bin/wc")).toBe("../../bin/busybox");
  });
});
