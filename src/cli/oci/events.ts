/** `events`: what a container uses, and when it wants for memory, a line of JSON each. */
import { watchOom } from "../../cgroups/oom.ts";
import { openRecord } from "../../cgroups/record.ts";
import { readStatistics, statisticsJson } from "../../cgroups/statistics.ts";
import { MydockerError } from "../../errors.ts";
import { POLLIN, type PollEntry, poll } from "../../linux/fd.ts";
import { openProcess } from "../../linux/process_identity.ts";
import { statusOf } from "../../runtime/state.ts";
import { RuntimeStore } from "../../runtime/store.ts";
import { print } from "../output.ts";
import { defineOciCommand } from "./command.ts";

/** As runc's. */
export const command = defineOciCommand({
  description: "Show what a container uses, again and again, and when it wants for memory",
  options: {
    stats: { type: "boolean", description: "Show what it uses once, and leave" },
    interval: { type: "value", value: "DURATION", description: "Time between (default 5s)" },
  },
  usage: "ID",
  min: 1,
  max: 1,
  async run({ positionals: [id = ""], values: { stats, interval = "5s" } }, globals) {
    const pause = milliseconds(interval);
    const store = new RuntimeStore(globals.root);
    const record = store.read(id);
    if (statusOf(store, record) === "stopped")
      throw new MydockerError(`container not running: ${id}`);
    const cgroup = openRecord(record.cgroup);
    const line = () => statisticsJson({ type: "stats", id, data: readStatistics(cgroup) });
    if (stats) {
      await print(`${line()}\n`);
      return undefined;
    }
    using watch = watchOom(cgroup);
    // The end of a cgroup of v2 wakes nobody who polls its files.
    const init = record.init === undefined ? undefined : openProcess(record.init);
    for (let next = 0; ; ) {
      const now = performance.now();
      if (now >= next) {
        if (statusOf(store, record) === "stopped") return undefined;
        await print(`${line()}\n`);
        next = now + pause;
      }
      const entry: PollEntry = { fd: watch.fd, events: watch.events, revents: 0 };
      const end: PollEntry = { fd: init ?? -1, events: POLLIN, revents: 0 };
      poll([entry, end], Math.max(1, Math.ceil(next - performance.now())));
      const hasEnded = end.revents !== 0;
      const event = entry.revents === 0 && !hasEnded ? undefined : watch.check();
      if (event === "oom") await print(`${JSON.stringify({ type: "oom", id })}\n`);
      if (event === "gone" || hasEnded) return undefined;
    }
  },
});

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `5s`, `100ms`, `1m30s`, as Go writes durations. */
function milliseconds(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const sum = parts.reduce(
    (total, [, count, unit = ""]) => total + Number(count) * (UNITS[unit] ?? 0),
    0,
  );
  if (parts.map(([part]) => part).join("") === text && sum > 0) return sum;
  throw new MydockerError(`--interval: ${JSON.stringify(text)} is no duration such as 5s`);
}
