/** /etc/subuid and /etc/subgid: which ids of the host may stand for those of user namespaces. subuid(5) */
import { ifExists, readFile } from "../../linux/file.ts";
import { defineCheck, type Finding, ok, warning } from "./check.ts";

/** Both files, and who asks. */
export interface SubordinateIds {
  readonly users: readonly string[];
  /** text; absent: there is no such file */
  readonly subuid?: string;
  readonly subgid?: string;
}

const WHY = "ids of user namespaces are mapped to ranges that belong to nobody else";
/** What an image may use: up to 65535. */
const LEAST = 65536;

interface Range {
  readonly user: string;
  readonly start: number;
  readonly count: number;
}

function parse(text: string): Range[] {
  return text.split("\n").flatMap((line) => {
    const [user = "", start = "", count = ""] = line.split(":");
    return line.startsWith("#") || !/^\d+$/.test(start) || !/^\d+$/.test(count)
      ? []
      : [{ user, start: Number(start), count: Number(count) }];
  });
}

function overlap(ranges: readonly Range[]): readonly [Range, Range] | undefined {
  const sorted = ranges.toSorted((a, b) => a.start - b.start);
  for (const [index, next] of sorted.slice(1).entries()) {
    const before = sorted[index] as Range;
    if (before.user !== next.user && before.start + before.count > next.start)
      return [before, next];
  }
  return undefined;
}

/** The ranges of whoever called us. */
export const subordinateIds = defineCheck({
  name: "subuid",
  why: WHY,
  read(): SubordinateIds {
    const [subuid, subgid] = ["/etc/subuid", "/etc/subgid"].map((path) =>
      ifExists(() => readFile(path)),
    );
    const { SUDO_USER, SUDO_UID } = process.env;
    const caller = SUDO_USER === undefined ? ["root", "0"] : [SUDO_USER, SUDO_UID ?? ""];
    return {
      users: caller.filter(Boolean),
      ...(subuid === undefined ? {} : { subuid }),
      ...(subgid === undefined ? {} : { subgid }),
    };
  },
  judge: ({ users, subuid, subgid }) => [
    judgeFile("subuid", "uids", users, subuid),
    judgeFile("subgid", "gids", users, subgid),
  ],
});

function judgeFile(
  name: string,
  option: string,
  users: readonly string[],
  text: string | undefined,
): Finding {
  const [user = "root"] = users;
  const fix = `give it one: \`usermod --add-sub${option} 100000-165535 ${user}\``;
  if (text === undefined) return warning(name, `no /etc/${name}`, WHY, fix);
  const ranges = parse(text);
  const both = overlap(ranges);
  if (both !== undefined) {
    const [a, b] = both;
    const found = `${a.user} and ${b.user} both have ${b.start}`;
    return warning(
      name,
      found,
      WHY,
      `move one of the ranges in /etc/${name}, so that each id is one user's`,
    );
  }
  const count = ranges
    .filter((range) => users.includes(range.user))
    .reduce((sum, range) => sum + range.count, 0);
  if (count >= LEAST) return ok(name, `${count} ids for ${user}`, WHY);
  return warning(
    name,
    count === 0 ? `no range for ${user}` : `only ${count} ids for ${user}`,
    WHY,
    fix,
  );
}
