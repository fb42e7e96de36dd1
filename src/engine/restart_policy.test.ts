import { describe, expect, test } from "bun:test";
import {
  backOffDelay,
  type EndedRun,
  type RestartPolicy,
  restartsAfter,
  startsAtBoot,
} from "./restart_policy.ts";

const policy = (name: RestartPolicy["name"], maximumRetryCount = 0): RestartPolicy => ({
  name,
  maximumRetryCount,
});
const ended = (exitCode: number, more: Partial<EndedRun> = {}): EndedRun => ({
  exitCode,
  restartCount: 0,
  isStopped: false,
  ...more,
});

describe("after its end", () => {
  test.each<[RestartPolicy, EndedRun, boolean]>([
    [policy("no"), ended(1), false],
    [policy("always"), ended(0), true],
    [policy("always"), ended(1, { isStopped: true }), false],
    [policy("unless-stopped"), ended(0), true],
    [policy("unless-stopped"), ended(137, { isStopped: true }), false],
    [policy("on-failure"), ended(0), false],
    [policy("on-failure"), ended(1, { restartCount: 1000 }), true],
    [policy("on-failure", 3), ended(1, { restartCount: 2 }), true],
    [policy("on-failure", 3), ended(1, { restartCount: 3 }), false],
    [policy("on-failure"), ended(137, { isStopped: true }), false],
  ])("%j with %j: %p", (of, end, again) => {
    expect(restartsAfter(of, end)).toBe(again);
  });
});

test("at boot, always means one that was stopped, too", () => {
  const stopped = ended(137, { isStopped: true });
  expect(startsAtBoot(policy("always"), stopped)).toBe(true);
  expect(startsAtBoot(policy("unless-stopped"), stopped)).toBe(false);
  expect(startsAtBoot(policy("on-failure"), stopped)).toBe(false);
  expect(startsAtBoot(policy("on-failure"), ended(137))).toBe(true);
  expect(startsAtBoot(policy("on-failure", 2), ended(1, { restartCount: 2 }))).toBe(false);
  expect(startsAtBoot(policy("unless-stopped"), ended(0))).toBe(true);
  expect(startsAtBoot(policy("no"), ended(1))).toBe(false);
});

test("the delay doubles from 100 ms to a minute, and begins again after ten seconds of running", () => {
  const delays: number[] = [];
  for (let delay = 0; delays.length < 12; delays.push(delay)) delay = backOffDelay(delay, 9_999);
  expect(delays).toEqual([
    100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000,
  ]);
  expect(backOffDelay(60_000, 10_000)).toBe(100);
});
