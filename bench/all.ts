/**
 * `bun run bench`: all benchmarks, one after the other. With `--markdown` the tables in
 * docs/performance.md become what was measured. Names, such as `run`, choose among them.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { archives } from "./archives.ts";
import { calls } from "./calls.ts";
import { commit } from "./commit.ts";
import { crowd } from "./crowd.ts";
import { flat } from "./flat.ts";
import { images } from "./images.ts";
import { io } from "./io.ts";
import { life } from "./life.ts";
import { memory } from "./memory.ts";
import { network } from "./network.ts";
import { oci } from "./oci.ts";
import { ociProfile } from "./oci_profile.ts";
import { profile } from "./profile.ts";
import { pull } from "./pull.ts";
import { run } from "./run.ts";
import { seccomp } from "./seccomp.ts";
import { startup } from "./startup.ts";
import { runBenches } from "./tools/main.ts";
import { versionOf } from "./tools/peers.ts";
import { markdownBody } from "./tools/report.ts";

const PAGE = join(import.meta.dir, "../docs/performance.md");

/** Replaces what stands between `<!-- bench:ID -->` and `<!-- /bench -->`. @throws {Error} without the marker */
function replaceSection(page: string, id: string, body: string): string {
  const marker = `<!-- bench:${id} -->`;
  const start = page.indexOf(marker);
  const end = page.indexOf("<!-- /bench -->", start);
  if (start === -1 || end === -1) throw new Error(`docs/performance.md has no ${marker}`);
  return `${page.slice(0, start)}${marker}\n${body}\n${page.slice(end)}`;
}

/** What the figures depend on. */
function describeMachine(): string {
  const parts = [
    `Linux ${release().split(/[-+]/)[0]} on ${process.arch}`,
    `${navigator.hardwareConcurrency} processors`,
    `Bun ${Bun.version}`,
    ...["runc", "crun"].map(versionOf),
  ];
  return `${parts.filter((part) => part !== undefined).join(", ")}.`;
}

const BENCHES = {
  startup,
  run,
  oci,
  ociProfile,
  memory,
  flat,
  life,
  commit,
  crowd,
  network,
  images,
  archives,
  io,
  profile,
  seccomp,
  calls,
  pull,
};
/** Those that are named, else all. */
const named = Object.entries(BENCHES).filter(([name]) => process.argv.includes(name));
const chosen = named.length > 0 ? named.map(([, bench]) => bench) : Object.values(BENCHES);
const sections = await runBenches(chosen);
console.log(describeMachine());
if (process.argv.includes("--markdown")) {
  let page = readFileSync(PAGE, "utf8");
  for (const section of sections) page = replaceSection(page, section.id, markdownBody(section));
  if (sections.length > 0) page = replaceSection(page, "machine", describeMachine());
  writeFileSync(PAGE, page);
}
