/** Where the time of one run goes. */

import { runCommand, unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, timeProgram } from "./tools/measure.ts";
import { countCalls, type Phase, profileRun, rowsOf, type Span } from "./tools/phases.ts";

const PARENT: readonly Phase[] = [
  { name: "the process starts, until the first line of main.ts" },
  { name: "the command line's code is loaded", first: /^cli$/ },
  { name: "the engine's code is loaded", first: /^engine$/ },
  { name: "options are parsed; recovery: is anything half done?", first: /^statx / },
  { name: "the image is looked up and held", first: /^open .*\/images\/names\// },
  { name: "the container is made: owner, name, record, layer", first: /^open .*\/owners\// },
  { name: "its configuration is planned, pipes are made", first: /^open \/proc\/self\/mountinfo/ },
  { name: "fork", first: /^socketpair / },
  { name: "the owner's record names init", first: /^open \/proc\/\d+\/stat/ },
  { name: "cgroups are made", first: /^(statfs|mkdir) .*\/cgroup/ },
  { name: "/etc files and config.json are written", first: /^open \/etc\/resolv.conf/ },
  { name: "code for later is warmed up", first: /^pipe2 / },
  { name: "waits for init", first: /^sendmsg / },
  { name: "the owner's record is updated, pumps are set up", first: /^close \d* = 0/ },
  { name: "the command runs", first: /^poll -1/ },
  { name: "everything is removed", first: /^waitid / },
  { name: "the process ends", first: /^end$/ },
];

const CHILD: readonly Phase[] = [
  { name: "fork, until the first instruction" },
  { name: "its own mounts: overlay, /proc, /dev, /sys", first: /^prctl / },
  { name: "waits for cgroups and files", first: /^recvmsg / },
  { name: "joins cgroups", first: /^open .*\/(tasks|cgroup.procs) / },
  { name: "binds: cgroups, /etc files", first: /^open_tree / },
  { name: "devices and links", first: /^mknod / },
  { name: "read-only and masked paths", first: /^openat2 \/(sys\/fs\/cgroup|proc\/bus) / },
  { name: "loopback, host name, sysctls", first: /^socket / },
  { name: "user", first: /^openat2 \/etc\/passwd/ },
  { name: "pivot, standard streams", first: /^open \/ / },
  { name: "privileges are dropped", first: /^prctl PR_CAPBSET_DROP/ },
  { name: "the command is looked up", first: /^statx \// },
  { name: "exec", first: /^sigprocmask / },
];

/** `profile`: see the note that it returns. */
export const profile: Bench = async (session) => {
  unpackImage(session);
  const program = await session.compile("profiled");
  const rounds = roundsOr(60);
  const spans: { parent: Span[]; child: Span[] }[] = [];
  const command = runCommand(session, "true");
  const measured = await alternate(
    session,
    [
      { name: "plain", measure: () => timeProgram(session, command) },
      {
        name: "profiled",
        measure: () => {
          const { time, parent, child } = profileRun(session, [program, ...command.slice(1)], {
            parent: PARENT,
            child: CHILD,
          });
          spans.push({ parent, child });
          return time;
        },
      },
    ],
    { rounds, warmUp: 5 },
  );
  const kept = spans.slice(-rounds);
  const [plain, slow] = ["plain", "profiled"].map((name) => median(measured.get(name) ?? []));
  const total = countCalls(session, command);
  return {
    id: "profile",
    title: "Where the time of one run goes",
    note: `\`mydocker run --rm --network none busybox true\`: medians of ${rounds} runs in milliseconds, and the kernel \
calls that mydocker's own code makes. A run that is watched so takes ${slow?.toFixed(1)} ms, one that is not \
${plain?.toFixed(1)} ms. ${total ?? "strace is not installed, so the calls of Bun are not counted."} init works while \
mydocker makes cgroups and files, so its times stand beside the others.`,
    table: {
      head: ["", "ms", "calls"],
      rows: [
        ...rowsOf(
          "mydocker",
          PARENT,
          kept.map(({ parent }) => parent),
        ),
        ...rowsOf(
          "init, at the same time",
          CHILD,
          kept.map(({ child }) => child),
        ),
      ],
    },
  };
};

if (import.meta.main) await runBenches([profile]);
