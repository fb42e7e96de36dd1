import { describe, expect, test } from "bun:test";
import type { Healthcheck } from "../images/image_config.ts";
import {
  afterProbe,
  goDuration,
  type Health,
  mergeHealthcheck,
  probeCommand,
  probeInterval,
  STARTING,
} from "./health.ts";

const result = (ExitCode: number, Output = "") => ({
  Start: "2024-01-01T00:00:00Z",
  End: "2024-01-01T00:00:01Z",
  ExitCode,
  Output,
});

/** The states after each of the probes, a second apart. */
function after(check: Healthcheck, exitCodes: readonly number[]): string[] {
  let health: Health = STARTING;
  return exitCodes.map((code, index) => {
    health = afterProbe(health, result(code), check, (index + 1) * 1000);
    return `${health.Status} ${health.FailingStreak}`;
  });
}

describe("health", () => {
  test("is lost after as many failures in a row as retries, and gained by one success", () => {
    expect(after({ Retries: 2 }, [1, 1, 0, 1, 0, 1, 1, 1])).toEqual([
      "starting 1",
      "unhealthy 2",
      "healthy 0",
      "healthy 1",
      "healthy 0",
      "healthy 1",
      "unhealthy 2",
      "unhealthy 3",
    ]);
    expect(after({}, [1, -1, 2])).toEqual(["starting 1", "starting 2", "unhealthy 3"]);
  });

  test("is not lost while it starts, but gained", () => {
    const check = { Retries: 1, StartPeriod: 2.5e9 };
    expect(after(check, [1, 1, 1])).toEqual(["starting 0", "starting 0", "unhealthy 1"]);
    expect(after(check, [0, 1, 1])).toEqual(["healthy 0", "unhealthy 1", "unhealthy 2"]);
  });

  test("has the last five probes", () => {
    let health: Health = STARTING;
    for (let i = 0; i < 8; i++) health = afterProbe(health, result(0, String(i)), {}, 0);
    expect(health.Log.map(({ Output }) => Output)).toEqual(["3", "4", "5", "6", "7"]);
  });
});

test("probes follow each other sooner while it starts", () => {
  const check = { Interval: 7e9, StartPeriod: 10e9 };
  expect(probeInterval(check, STARTING, 9000)).toBe(5000);
  expect(probeInterval({ ...check, StartInterval: 1e8 }, STARTING, 0)).toBe(100);
  expect(probeInterval(check, STARTING, 10_000)).toBe(7000);
  expect(probeInterval(check, { ...STARTING, Status: "healthy" }, 0)).toBe(7000);
  expect(probeInterval({}, STARTING, 0)).toBe(30_000);
});

test("what a container does not say its image does", () => {
  const image = { Test: ["CMD", "a"], Interval: 1e9, Retries: 2 };
  expect(mergeHealthcheck(undefined, image)).toEqual(image);
  expect(mergeHealthcheck({ Interval: 2e9, Retries: 0 }, image)).toEqual({
    ...image,
    Interval: 2e9,
  });
  expect(mergeHealthcheck({ Test: ["NONE"] }, undefined)).toEqual({ Test: ["NONE"] });
  expect(mergeHealthcheck(undefined, undefined)).toBeUndefined();
});

test.each<[readonly string[] | undefined, readonly string[] | undefined]>([
  [undefined, undefined],
  [[], undefined],
  [["NONE"], undefined],
  [["NONE", "x"], undefined],
  [["CMD"], undefined],
  [
    ["CMD", "a", "b c"],
    ["a", "b c"],
  ],
  [
    ["CMD-SHELL", "a b"],
    ["/bin/sh", "-c", "a b"],
  ],
])("%j executes %j", (Test, command) => {
  const check = Test === undefined ? {} : { Test };
  expect(probeCommand(check, ["/bin/sh", "-c"])).toEqual(command);
});

test.each([
  [0, "0s"],
  [1e6, "1ms"],
  [2.5e8, "250ms"],
  [1e9, "1s"],
  [1.5e9, "1.5s"],
  [90e9, "1m30s"],
  [3600e9, "1h0m0s"],
])("%d ns are %s in Go", (nanoseconds, text) => {
  expect(goDuration(nanoseconds)).toBe(text);
});
