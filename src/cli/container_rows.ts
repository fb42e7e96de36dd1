/** Containers as the fields that `ps` shows. */
import type { ContainerState, ContainerSummary } from "../engine/list.ts";
import { quote } from "../quote.ts";
import { ellipsis, humanAge, listedTime } from "./human.ts";

/** What the table calls each field. */
export const CONTAINER_HEADINGS = {
  ID: "CONTAINER ID",
  Image: "IMAGE",
  Command: "COMMAND",
  CreatedAt: "CREATED AT",
  RunningFor: "CREATED",
  Ports: "PORTS",
  State: "STATE",
  Status: "STATUS",
  Labels: "LABELS",
  Networks: "NETWORKS",
  Names: "NAMES",
} as const;

/** The usual table. */
export const CONTAINER_FORMAT =
  "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

/** One line of `ps`, by field. */
export type ContainerRow = Readonly<Record<keyof typeof CONTAINER_HEADINGS, string>>;

/** @param now milliseconds since 1970 */
export function containerRow(
  { record, state }: Pick<ContainerSummary, "record" | "state">,
  now: number,
  whole: boolean,
): ContainerRow {
  const command = record.command.join(" ");
  return {
    ID: whole ? record.id : record.id.slice(0, 12),
    Image: record.image,
    Command: quote(whole ? command : ellipsis(command, 20)),
    CreatedAt: listedTime(record.created),
    RunningFor: `${humanAge(record.created, now)} ago`,
    Ports: "",
    State: state.status,
    Status: statusText(state, now),
    Labels: Object.entries(record.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
    Networks: record.network,
    Names: record.name,
  };
}

/** `Up 3 minutes`, `Exited (137) 2 hours ago`, `Created`; `Dead` of one that is damaged. */
export function statusText(state: ContainerState, now: number): string {
  if (state.status === "created") return "Created";
  if (state.status === "dead") return "Dead";
  if (state.status === "running") return `Up ${humanAge(state.startedAt, now)}`;
  if (state.status === "paused") return `Up ${humanAge(state.startedAt, now)} (Paused)`;
  const { exitCode, finishedAt } = state.exit;
  const what = state.status === "restarting" ? "Restarting" : "Exited";
  return `${what} (${exitCode}) ${humanAge(finishedAt, now)} ago`;
}
