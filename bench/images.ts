/** What a listing costs when there are many images. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeBytes } from "../src/ffi/bytes.ts";
import { archive } from "../test/helpers/tar_builder.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, timeProgram } from "./tools/measure.ts";
import { ms, times, verdict } from "./tools/report.ts";

/** How many there are. */
const IMAGES = 500;
/** The most that `images` may take, in times of `version`. */
const TARGET = 4;

/** `images`: see the note that it returns. */
export const images: Bench = async (session) => {
  const file = join(session.folder, "images.tar");
  writeFileSync(file, manyImages());
  timeProgram(session, [session.executable, "load", "-i", file]);
  // What a listing keeps for the next one, it keeps of what has been so for a while.
  await Bun.sleep(3000);
  const candidates = [["version"], ["images"], ["images", "-q"]].map((args) => ({
    name: args.join(" "),
    measure: () => timeProgram(session, [session.executable, ...args]),
  }));
  const rounds = roundsOr(30);
  const measured = await alternate(session, candidates, { rounds, warmUp: 3 });
  const base = median(measured.get("version") ?? []);
  return {
    id: "images",
    title: "Many images",
    note: `${IMAGES} images with a name each, of three layers, two of which they share. Medians of ${rounds} rounds in alternation.`,
    table: {
      head: ["", "", "to version", "target"],
      rows: [...measured].map(([name, values]) => {
        const ratio = median(values) / base;
        const judged = name === "version" ? ["", ""] : [times(ratio), verdict(ratio, TARGET)];
        return [name, ms(median(values)), ...judged];
      }),
    },
  };
};

/** As `docker save` writes them. */
function manyImages(): Uint8Array {
  const digest = (bytes: Uint8Array) =>
    `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
  const shared = [1, 2].map((n) => archive({ name: `shared-${n}`, data: "x".repeat(1000) }));
  const files = shared.map((data, n) => ({ name: `shared-${n}.tar`, data }));
  const list = Array.from({ length: IMAGES }, (_, n) => {
    const own = archive({ name: "own", data: String(n) });
    const config = encodeBytes(
      JSON.stringify({
        created: new Date(1.7e12 + n * 1e6).toISOString(),
        architecture: process.arch === "arm64" ? "arm64" : "amd64",
        os: "linux",
        config: { Env: ["PATH=/usr/bin:/bin"], Cmd: ["sh"], Labels: { number: String(n) } },
        rootfs: { type: "layers", diff_ids: [...shared, own].map(digest) },
        history: [1, 2, 3].map((step) => ({ created_by: `step ${step}` })),
      }),
    );
    files.push({ name: `${n}.tar`, data: own });
    files.push({ name: `${n}.json`, data: new Uint8Array(config) });
    const names = [`registry.example.com/some/project/image-${n}:1.${n}`];
    const layers = ["shared-0.tar", "shared-1.tar", `${n}.tar`];
    return { Config: `${n}.json`, RepoTags: names, Layers: layers };
  });
  return archive({ name: "manifest.json", data: JSON.stringify(list) }, ...files);
}

if (import.meta.main) await runBenches([images]);
