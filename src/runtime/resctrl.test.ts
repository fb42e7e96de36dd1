/** Over a directory that looks like the resctrl file system: few machines have one. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { joinResctrl, makeResctrl, planResctrl, removeResctrl, resctrlRoot } from "./resctrl.ts";
import type { IntelRdt } from "./spec.ts";

let root = "";
const NONE: IntelRdt = { schemata: [], enableMonitoring: false };

/** A group with the files that the kernel puts there; without a name the root. */
function group(name: string, schemata = "    L3:0=fff;1=fff\n    MB:0=100;1=100\n"): string {
  const directory = join(root, name);
  mkdirSync(join(directory, "mon_groups"), { recursive: true });
  writeFileSync(join(directory, "schemata"), schemata);
  writeFileSync(join(directory, "tasks"), "");
  return directory;
}

const file = (path: string, text: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "mydocker-resctrl-"));
  group("");
});
afterEach(() => rmSync(root, { recursive: true }));

test("its mount is found", () => {
  const other = "25 30 0:23 / /sys rw,nosuid shared:7 - sysfs sysfs rw";
  const line = "60 25 0:50 / /sys/fs/resctrl rw,relatime - resctrl resctrl rw";
  expect(resctrlRoot(`${other}\n${line}\n`)).toBe("/sys/fs/resctrl");
  expect(resctrlRoot(`${other}\n`)).toBeUndefined();
});

describe("a class of service", () => {
  test("of the container's own is made, and removed with it", () => {
    const plan = planResctrl({ ...NONE, schemata: ["L3:0=f", "MB:0=20"] }, "box", root);
    expect(plan.record).toEqual({ tasks: [`${root}/box/tasks`], own: [`${root}/box`] });
    expect(() => makeResctrl(plan)).toThrow(`linux.intelRdt: open ${root}/box/schemata`); // made
    rmSync(join(root, "box"), { recursive: true });
    expect(() => removeResctrl(plan.record)).not.toThrow();
    mkdirSync(join(root, "box"));
    removeResctrl(plan.record);
    expect(existsSync(join(root, "box"))).toBe(false);
  });

  test("gets its schemata at once, l3CacheSchema and memBwSchema first, and its tasks", () => {
    group("gold");
    const rdt = {
      ...NONE,
      schemata: ["L2:0=f"],
      l3CacheSchema: "L3:0=fff",
      memBwSchema: "MB:0=100",
    };
    const plan = planResctrl({ ...rdt, closID: "gold" }, "box", root);
    expect(plan.record.own).toEqual([]); // others may use it
    makeResctrl(plan);
    joinResctrl(plan, 4711);
    expect(readFileSync(`${root}/gold/schemata`, "utf8")).toStartWith(
      "L3:0=fff\nMB:0=100\nL2:0=f\n",
    );
    expect(readFileSync(`${root}/gold/tasks`, "utf8")).toBe("4711");
  });

  test("that is there may be used without schemata, and nothing is written to them", () => {
    group("gold", "L3:0=3\n");
    const plan = planResctrl({ ...NONE, closID: "gold" }, "box", root);
    makeResctrl(plan);
    expect(readFileSync(`${root}/gold/schemata`, "utf8")).toBe("L3:0=3\n");
  });

  test("that is not there cannot be used without", () => {
    expect(() => planResctrl({ ...NONE, closID: "gold" }, "box", root)).toThrow(
      `linux.intelRdt.closID: ${root}/gold does not exist, and there is no schema to make it with`,
    );
  });

  test("of the machine is /", () => {
    const plan = planResctrl({ ...NONE, closID: "/" }, "box", root);
    makeResctrl(plan);
    joinResctrl(plan, 7);
    expect(readFileSync(`${root}/tasks`, "utf8")).toBe("7");
    expect(plan.record.own).toEqual([]);
  });

  test("by the container's id that was there before is not removed", () => {
    group("box");
    expect(planResctrl(NONE, "box", root).record.own).toEqual([]);
  });
});

describe("a class of service that exists", () => {
  test.each([
    ["L3:0=7f0;1=1f", undefined],
    ["L3:1=01F", undefined], // the same number, of one cache only
    ["L3:0=7f1", "L3:0=7f0;1=01f"],
    ["L2:0=f", "no L2"],
    ["L3:2=f", "L3:0=7f0;1=01f"],
  ])("has l3CacheSchema %s: %p", (l3CacheSchema, differing) => {
    group("gold", "    L3:0=7f0;1=01f\n    MB:0= 20;1= 70\n");
    const plan = () => planResctrl({ ...NONE, closID: "gold", l3CacheSchema }, "box", root);
    if (differing === undefined) expect(plan).not.toThrow();
    else {
      expect(plan).toThrow(
        `linux.intelRdt.l3CacheSchema: "${l3CacheSchema}", but ${root}/gold has ${differing}`,
      );
    }
  });

  test("has a bandwidth that the kernel has rounded up", () => {
    group("gold", "MB:0= 20;1= 70\n");
    file("info/MB/bandwidth_gran", "10\n");
    const plan = (memBwSchema: string) =>
      planResctrl({ ...NONE, closID: "gold", memBwSchema }, "box", root);
    expect(() => plan("MB:0=11;1=70")).not.toThrow();
    expect(() => plan("MB:0=10")).toThrow("has MB:0= 20;1= 70");
  });
});

describe("a monitoring group", () => {
  test("is the container's own, whatever class it is in", () => {
    group("gold");
    group("gold/mon_groups/box");
    const plan = planResctrl({ ...NONE, closID: "gold", enableMonitoring: true }, "box", root);
    const directory = `${root}/gold/mon_groups/box`;
    expect(plan.record).toEqual({
      tasks: [`${root}/gold/tasks`, `${directory}/tasks`],
      own: [directory],
    });
    makeResctrl(plan);
    joinResctrl(plan, 9);
    expect(readFileSync(`${directory}/tasks`, "utf8")).toBe("9");
  });

  test("goes before the class of service that is the container's own, too", () => {
    const { record } = planResctrl({ ...NONE, enableMonitoring: true }, "box", root);
    expect(record.own).toEqual([`${root}/box/mon_groups/box`, `${root}/box`]);
  });
});

test("what the kernel refuses comes with its reason", () => {
  file("info/last_cmd_status", "out of CLOSIDs\n");
  writeFileSync(join(root, "blocked"), "");
  const plan = planResctrl({ ...NONE, closID: "blocked", schemata: ["L3:0=f"] }, "box", root);
  expect(() => makeResctrl(plan)).toThrow(/^linux\.intelRdt: .*ENOTDIR.* \(out of CLOSIDs\)$/);
});
