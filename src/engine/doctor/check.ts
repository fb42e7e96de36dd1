/** What a check of `doctor` is: facts that are read, and a judgement over them that is pure. */
import type { Paths } from "../../paths.ts";

/** `warning`: something that can be asked for will not work. `failure`: `run` will not. */
export type Status = "ok" | "warning" | "failure";

/** One thing that was looked at. */
export interface Finding {
  readonly name: string;
  readonly status: Status;
  readonly found: string;
  /** Why it matters. */
  readonly why: string;
  /** What to do about it: a command where one does it. Absent when all is well. */
  readonly fix?: string;
}

/** A finding that is not well. */
export type Problem = Finding & { readonly fix: string };

/** Looks at something. */
export interface Check {
  readonly name: string;
  readonly findings: (paths: Paths) => readonly Finding[];
}

/** A check of facts that are a value: {@link CheckOf.judge} is tested with others. */
export interface CheckOf<F> extends Check {
  readonly read: (paths: Paths) => F;
  readonly judge: (facts: F) => readonly Finding[];
}

/** Makes a check. Facts that cannot be read are a finding themselves. */
export function defineCheck<F>({ name, why, read, judge }: Definition<F>): CheckOf<F> {
  return {
    name,
    read,
    judge,
    findings(paths) {
      let facts: F;
      try {
        facts = read(paths);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return [
          {
            name,
            status: "warning",
            found: `cannot be looked at: ${reason}`,
            why,
            fix: UNREADABLE,
          },
        ];
      }
      return judge(facts);
    },
  };
}

interface Definition<F> {
  readonly name: string;
  /** Why it matters, should it not be readable. */
  readonly why: string;
  readonly read: (paths: Paths) => F;
  readonly judge: (facts: F) => readonly Finding[];
}

const UNREADABLE =
  "mount what is missing: `mount -t proc proc /proc` and `mount -t sysfs sysfs /sys`";

/** All is well. */
export const ok = (name: string, found: string, why: string): Finding => ({
  name,
  status: "ok",
  found,
  why,
});

/** Something will not work. */
export const warning = (name: string, found: string, why: string, fix: string): Problem => ({
  name,
  status: "warning",
  found,
  why,
  fix,
});

/** `run` will not work. */
export const failure = (name: string, found: string, why: string, fix: string): Problem => ({
  name,
  status: "failure",
  found,
  why,
  fix,
});
