/** `mydocker doctor` as people read it. */
import type { Diagnosis } from "../engine/doctor/doctor.ts";
import { printable } from "../log.ts";
import { drawTable } from "./table.ts";

const count = (number: number, what: string): string =>
  `${number} ${what}${number === 1 ? "" : "s"}`;

/** A line for each finding, below it why it matters and the fix if something is wrong; last what it comes to. */
export function diagnosisText({ works, checks }: Diagnosis): string {
  const rows = checks.map(({ status, name, found }) => [status, name, printable(found)]);
  const lines = drawTable([["STATUS", "CHECK", "FOUND"], ...rows])
    .trimEnd()
    .split("\n");
  const [heading = "", ...rest] = lines;
  const explained = rest.flatMap((line, index) => {
    const { why, fix } = checks[index] ?? {};
    if (fix === undefined) return [line];
    return [line, `          why: ${printable(why ?? "")}`, `          fix: ${printable(fix)}`];
  });
  const of = (status: string) => checks.filter((each) => each.status === status).length;
  const [failures, warnings] = [of("failure"), of("warning")];
  const some = [
    ...(failures > 0 ? [count(failures, "failure")] : []),
    ...(warnings > 0 ? [count(warnings, "warning")] : []),
  ].join(", ");
  const verdict = works ? "mydocker run works here" : "mydocker run does not work here";
  return `${[heading, ...explained].join("\n")}\n\n${verdict}${some === "" ? "" : `: ${some}`}\n`;
}
