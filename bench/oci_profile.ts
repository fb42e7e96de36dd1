/** Where the time of one `mydocker-oci create` goes. */

import { ownRuntime, prepareBundle } from "./oci.ts";
import { unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { timeProgram } from "./tools/measure.ts";
import { preparePeers } from "./tools/peers.ts";
import { type Phase, profileRun, rowsOf, type Span } from "./tools/phases.ts";

const PARENT: readonly Phase[] = [
  { name: "the process starts, until the first line of main.ts" },
  { name: "the command line's code is loaded", first: /^cli$/ },
  { name: "the runtime's code is loaded", first: /^engine$/ },
  {
    name: "options; config.json is read, checked, its filter found",
    first: /^open .*\/config\.json /,
  },
  { name: "what the machine has: capabilities, cgroups", first: /^(capget|statx) / },
  { name: "the id is claimed, mounts are planned, a socket is made", first: /^mkdir / },
  { name: "fork", first: /^socketpair / },
  { name: "the first process is noted", first: /^open \/proc\/\d+\/stat/ },
  { name: "cgroups are made", first: /^(statfs|mkdir) .*\/cgroup/ },
  { name: "config.json is kept", first: /^open .*\/config\.json\.\d+\.tmp/ },
  { name: "waits for init", first: /^poll / },
  { name: "the container is on record, the process ends", first: /^rename .*\/creating\.json/ },
];

const CHILD: readonly Phase[] = [
  { name: "fork, until the first instruction" },
  { name: "its own mounts: root, /proc, /dev, /sys", first: /^prctl / },
  { name: "waits for cgroups", first: /^recvmsg / },
  { name: "joins cgroups, binds, devices, masks", first: /^open .*\/(tasks|cgroup.procs) / },
  { name: "loopback, host name, user", first: /^socket / },
  { name: "pivot, standard streams", first: /^open \/ / },
  { name: "privileges are dropped, the command is looked up", first: /^prctl PR_CAPBSET_DROP/ },
  { name: "filter, the program that waits", first: /^memfd_create / },
];

/** `oci-profile`: see the note that it returns. */
export const ociProfile: Bench = async (session) => {
  const { found, skipped } = preparePeers(session, unpackImage(session));
  const [peer] = found;
  if (peer === undefined) throw new Error(`no bundle can be made: ${skipped.join("; ")}`);
  const runtime = ownRuntime(session, peer);
  prepareBundle(runtime.bundle);
  const program = await session.compile("profiled");
  const rounds = roundsOr(40);
  const spans: { parent: Span[]; child: Span[] }[] = [];
  for (let round = -5; round < rounds; round++) {
    const { argv, id } = runtime.call("create", "--bundle", runtime.bundle);
    const command = ["/usr/bin/env", "PROFILE_FACE=oci", program, ...argv.slice(1), id];
    const { parent, child } = profileRun(session, command, { parent: PARENT, child: CHILD });
    if (round >= 0) spans.push({ parent, child });
    timeProgram(session, [...runtime.base, "delete", "--force", id]);
    await session.checkpoint();
  }
  return {
    id: "oci-profile",
    title: "Where the time of one create goes",
    note: `\`mydocker-oci create\` of the bundle above: medians of ${rounds} calls in milliseconds, and the kernel calls \
that mydocker's own code makes. init works while its creator makes cgroups, so its times stand beside the others. \
\`run\` is the same without the waiting, and with what \`delete\` does behind it.`,
    table: {
      head: ["", "ms", "calls"],
      rows: [
        ...rowsOf(
          "create",
          PARENT,
          spans.map(({ parent }) => parent),
        ),
        ...rowsOf(
          "init, at the same time",
          CHILD,
          spans.map(({ child }) => child),
        ),
      ],
    },
  };
};

if (import.meta.main) await runBenches([ociProfile]);
