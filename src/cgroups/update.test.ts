import { expect, test } from "bun:test";
import { previousWrite } from "./update.ts";

/** What is written to undo a write into a file that holds this text. */
const previous = (file: string, value: string, text: string | undefined) =>
  previousWrite({ controller: "x", file, value }, () => text)?.value;

test("a file with one value is set back to it", () => {
  expect(previous("pids.max", "5", "max")).toBe("max");
  expect(previous("cpu.max", "50000", "max 100000")).toBe("max 100000");
  expect(previous("cpuset.cpus", "0", "")).toBe("\n");
  expect(previous("memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0")).toBe("0");
  expect(previous("pids.max", "5", undefined)).toBeUndefined();
});

test("of a file with a line for each device only the one is, which there may not have been", () => {
  const throttle = "8:0 100\n8:16 200";
  expect(previous("blkio.throttle.read_bps_device", "8:16 1", throttle)).toBe("8:16 200");
  expect(previous("blkio.throttle.read_bps_device", "8:1 1", throttle)).toBe("8:1 0");
  const max = "8:0 rbps=1 wbps=max riops=max wiops=max";
  expect(previous("io.max", "8:0 wbps=5", max)).toBe(max);
  expect(previous("io.max", "8:16 wbps=5", max)).toBe("8:16 rbps=max wbps=max riops=max wiops=max");
  expect(previous("io.weight", "50", "default 100\n8:0 20")).toBe("default 100");
  expect(previous("io.weight", "8:0 50", "default 100")).toBe("8:0 default");
  expect(previous("net_prio.ifpriomap", "lo 3", "lo 0\neth0 5")).toBe("lo 0");
});
