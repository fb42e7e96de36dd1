/** How many kernel calls one run takes, on cgroup v1 and on v2: here, and in the virtual machine of the tests. */

import { resolve } from "node:path";
import { missing, runMachine } from "../test/vm/machine.ts";
import { type CallCounts, countCalls } from "./tools/count_calls.ts";
import { type Bench, runBenches } from "./tools/main.ts";
import { times, verdict } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

/** The most calls on v2, in times of those on v1. */
const TARGET = 1.1;
/** Of the machine, in milliseconds. */
const TIMEOUT = 300_000;

const COUNT = "bench/tools/count_calls.ts";
const HELPER = "test/helpers/own_calls.ts";

/** `calls`: see the note that it returns. */
export const calls: Bench = async (session) => {
  const here = countCalls(session.executable);
  const lacking = missing();
  const there = lacking.length > 0 ? undefined : await countInMachine(session);
  const row = (name: string, of: keyof CallCounts) => {
    const ratio = (there?.[of] ?? Number.NaN) / here[of];
    const beside = there === undefined ? ["", ""] : [String(there[of]), times(ratio)];
    return [
      name,
      String(here[of]),
      ...beside,
      of === "own" && there !== undefined ? verdict(ratio, TARGET) : "",
    ];
  };
  return {
    id: "calls",
    title: "Kernel calls of one run",
    note: `\`mydocker run --rm --network none busybox true\` by the same executable here and under Debian's kernel and \
systemd in the tests' virtual machine, where cgroup v2 is all there is: counted, since time means nothing where a \
processor is emulated. mydocker's own calls are those of \`--debug\`, all calls those of \`strace -f -c\`: the JavaScript \
runtime's and the command's too, but for those that wait (futex, poll), of which there are more the longer it takes. So \
there are of those that look every 15 ms at a first process that says nothing, which emulated and traced takes long to. \
The fewest of five and of three runs.`,
    table: {
      head: ["", "here", "cgroup v2", "to here", "target"],
      rows: [row("mydocker's own", "own"), row("all", "all")],
    },
    skipped: lacking.map((what) => `the virtual machine: ${what}`),
  };
};

async function countInMachine(session: Session): Promise<CallCounts> {
  const root = resolve(import.meta.dir, "..");
  const script = `#!/bin/bash
stty -F /dev/ttyS1 raw -echo
modprobe overlay
/payload/bin/bun /payload/${COUNT} /payload/bin/mydocker > /dev/ttyS1
`;
  const files = {
    "bin/bun": process.execPath,
    "bin/mydocker": session.executable,
    [COUNT]: resolve(root, COUNT),
    [HELPER]: resolve(root, HELPER),
  };
  const text = await runMachine({
    script,
    files,
    kernel: "stable",
    interactive: false,
    timeout: TIMEOUT,
  });
  const counts = /^\{.*\}$/m.exec(text)?.[0];
  if (counts === undefined) throw new Error(`the virtual machine has counted nothing: ${text}`);
  return JSON.parse(counts) as CallCounts;
}

if (import.meta.main) await runBenches([calls]);
