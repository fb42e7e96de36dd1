/** Namespaces: whether they can be made, and how many. */
import { readDirectory } from "../../linux/directory.ts";
import { ifExists, readFile } from "../../linux/file.ts";
import { CLONE } from "../../linux/process.ts";
import { defineCheck, type Finding, failure, ok, warning } from "./check.ts";
import { type Outcome, tryInNamespaces } from "./probe.ts";

interface Kind {
  readonly flag: number;
  /** as /proc/sys/user calls it */
  readonly limit: string;
  /** `run` makes one for every container */
  readonly always: boolean;
}

const KINDS: Readonly<Record<string, Kind>> = {
  mount: { flag: CLONE.CLONE_NEWNS, limit: "mnt", always: true },
  pid: { flag: CLONE.CLONE_NEWPID, limit: "pid", always: true },
  network: { flag: CLONE.CLONE_NEWNET, limit: "net", always: true },
  ipc: { flag: CLONE.CLONE_NEWIPC, limit: "ipc", always: true },
  uts: { flag: CLONE.CLONE_NEWUTS, limit: "uts", always: true },
  cgroup: { flag: CLONE.CLONE_NEWCGROUP, limit: "cgroup", always: false },
  user: { flag: CLONE.CLONE_NEWUSER, limit: "user", always: false },
};

/** By the namespace's kind. */
export type NamespaceFacts = Readonly<
  Record<string, { readonly outcome: Outcome; readonly limit?: number }>
>;

const NAME = "namespaces";
const WHY = "a container is a process in namespaces of its own";
/** Fewer than this are soon used up. */
const FEW = 64;

/** Each kind of namespace, made once. */
export const namespaces = defineCheck({
  name: NAME,
  why: WHY,
  read(): NamespaceFacts {
    const limits = new Set(ifExists(() => readDirectory("/proc/sys/user")) ?? []);
    return Object.fromEntries(
      Object.entries(KINDS).map(([name, { flag, limit }]) => {
        const file = `max_${limit}_namespaces`;
        const [outcome] = tryInNamespaces(flag, [() => undefined]);
        const count = limits.has(file) ? { limit: Number(readFile(`/proc/sys/user/${file}`)) } : {};
        return [name, { outcome: outcome as Outcome, ...count }];
      }),
    );
  },
  judge(facts): Finding[] {
    const bad = Object.entries(facts).flatMap(([name, { outcome, limit }]) =>
      judgeKind(name, outcome, limit),
    );
    return bad.length > 0 ? bad : [ok(NAME, `${Object.keys(facts).join(", ")}`, WHY)];
  },
});

function judgeKind(name: string, outcome: Outcome, limit: number | undefined): Finding[] {
  const { always = false, limit: called = name } = KINDS[name] ?? {};
  const bad = always ? failure : warning;
  const title = `${name} namespaces`;
  const why = always ? WHY : (WHY_OTHER[name] ?? WHY);
  const raise = `raise the limit: \`sysctl -w user.max_${called}_namespaces=10000\``;
  if (!outcome.works) {
    if (outcome.code === "ENOSPC")
      return [bad(title, `no more than ${limit ?? 0} may be there`, why, raise)];
    return [bad(title, outcome.message, why, REASONS[outcome.code] ?? REFUSED)];
  }
  if (limit === undefined || limit >= FEW) return [];
  return [
    warning(title, `no more than ${limit} may be there`, `${why}: each container takes one`, raise),
  ];
}

const WHY_OTHER: Readonly<Record<string, string>> = {
  user: "`--userns`, and containers whose root is nobody on the host",
  cgroup: "on cgroup v2 a container is to see no cgroup but its own",
};

const REASONS: Readonly<Record<string, string>> = {
  EINVAL: "boot a kernel that is built with them",
  EPERM:
    "let them be made: `sysctl -w kernel.unprivileged_userns_clone=1`, `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, and as root outside of containers",
};
const REFUSED = "start mydocker as root, outside of a sandbox that forbids it";
