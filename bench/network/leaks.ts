/** What is left of the network when containers with published ports have come and gone. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Client } from "../life.ts";
import { timeProgram } from "../tools/measure.ts";
import { verdict } from "../tools/report.ts";
import type { Session } from "../tools/session.ts";

/** How long what others do on the machine may change what is counted, in milliseconds. */
const PATIENCE = 10_000;

type Counts = Readonly<Record<string, ReadonlySet<string>>>;

/** `run --rm -p` so many times: what there is of each kind afterwards that was not there before. */
export async function leakRows(
  session: Session,
  client: Client,
  enter: readonly string[],
  runs: number,
): Promise<string[][]> {
  const argv = client.command("run", "--rm", "--network", "bridge", "-p", "8080:80", client.image);
  const run = () => timeProgram(session, [...argv, "true"]);
  run(); // what is made on first use stays: the bridge, the image
  const before = count(session, enter);
  for (let done = 0; done < runs; done++) {
    run();
    await session.checkpoint();
  }
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const after = count(session, enter);
    const left = Object.entries(after).map(
      ([kind, all]) => [kind, [...all].filter((each) => !before[kind]?.has(each))] as const,
    );
    if (left.every(([, more]) => more.length === 0) || performance.now() > deadline) {
      for (const [kind, more] of left) for (const each of more) console.error(`${kind}: ${each}`);
      return left.map(([kind, more]) => [
        `mydocker: ${kind} left of ${runs} runs with -p`,
        String(more.length),
        "",
        verdict(more.length, 0),
      ]);
    }
    await Bun.sleep(100);
  }
}

/** What there is, by kind. Namespaces are the whole machine's. */
function count(session: Session, enter: readonly string[]): Counts {
  const said = (...command: readonly string[]) =>
    Bun.spawnSync([...enter, ...command])
      .stdout.toString()
      .split("\n");
  const rules = said("nft", "-a", "list", "ruleset").map((line) => line.replace(/ # handle.*/, ""));
  const files = [session.runFolder, `${session.folder}/root`].flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((name) => `${folder}/${name}`),
  );
  return {
    links: new Set(said("ip", "-o", "link").map((line) => line.split(":")[1] ?? "")),
    "nft rules": new Set(rules.map((line, at) => `${at}: ${line}`)),
    leases: new Set(files.filter((path) => path.includes("/networks/leases/"))),
    namespaces: new Set([...processNamespaces(), ...mountedNamespaces()]),
    files: new Set(files),
  };
}

function processNamespaces(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return ["net", "mnt", "pid"].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`));
      } catch {
        return []; // it has just ended
      }
    });
}

const mountedNamespaces = (): string[] =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(" - nsfs "))
    .map((line) => line.split(" ")[3] ?? "");
