/** Containers as the fields that `ps` shows. */
import type { ContainerState, ContainerSummary } from "../engine/list.ts";
import type { MountRequest } from "../engine/run_options.ts";
import { quote } from "../quote.ts";
import { ellipsis, humanAge, humanSize, listedTime } from "./human.ts";
import { portsText } from "./port_text.ts";

/** What the table calls each field. */
export const CONTAINER_HEADINGS = {
  Command: "COMMAND",
  CreatedAt: "CREATED AT",
  ID: "CONTAINER ID",
  Image: "IMAGE",
  Labels: "LABELS",
  LocalVolumes: "LOCAL VOLUMES",
  Mounts: "MOUNTS",
  Names: "NAMES",
  Networks: "NETWORKS",
  Ports: "PORTS",
  RunningFor: "CREATED",
  Size: "SIZE",
  State: "STATE",
  Status: "STATUS",
  Label: (name: string) => (name.split(".").at(-1) ?? "").replaceAll(/[-_]/g, " "),
} as const;

/** The usual table. */
export const CONTAINER_FORMAT =
  "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

/** The usual table with sizes. */
export const CONTAINER_SIZE_FORMAT = `${CONTAINER_FORMAT}\t{{.Size}}`;

/** One line of `ps`, by field. */
export type ContainerRow = Readonly<
  Record<Exclude<keyof typeof CONTAINER_HEADINGS, "Label">, string>
> & { readonly Label: (name: string) => string };

/** How containers are shown. */
export interface ContainerRowOptions {
  /** milliseconds since 1970 */
  readonly now: number;
  /** nothing is shortened */
  readonly whole: boolean;
  /** bytes that it wrote, and all that it sees; absent when nobody asked */
  readonly size?: { readonly own: number; readonly all: number };
}

/** By field, in the order of Docker's JSON. */
export function containerRow(
  { record, state }: Pick<ContainerSummary, "record" | "state">,
  { now, whole, size = { own: 0, all: 0 } }: ContainerRowOptions,
): ContainerRow {
  const [program = "", ...args] = record.command;
  // As Docker's daemon shows it, quotes inside or not.
  const command = [program, ...args.map((arg) => (arg.includes(" ") ? `'${arg}'` : arg))].join(" ");
  const mounts = (record.options?.mounts ?? []).filter(({ type }) => type !== "tmpfs");
  const virtual = size.all > 0 ? ` (virtual ${humanSize(size.all)})` : "";
  return {
    Command: quote(whole ? command : ellipsis(command, 20)),
    CreatedAt: listedTime(record.created),
    ID: whole ? record.id : record.id.slice(0, 12),
    Image: record.image,
    Labels: Object.entries(record.labels)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
    LocalVolumes: String(mounts.filter(({ type }) => type === "volume").length),
    Mounts: mounts
      .map((mount) => ellipsis(nameOf(mount), whole ? Number.POSITIVE_INFINITY : 15))
      .join(","),
    Names: record.name,
    Networks: record.networks.join(","),
    Ports: portsText(record.ports),
    RunningFor: `${humanAge(record.created, now)} ago`,
    Size: `${humanSize(size.own)}${virtual}`,
    State: state.status,
    Status: statusText(state, now),
    Label: (name) => (Object.hasOwn(record.labels, name) ? (record.labels[name] ?? "") : ""),
  };
}

function nameOf(mount: MountRequest): string {
  if (mount.type === "bind") return mount.source;
  return mount.type === "volume" ? (mount.name ?? "") : "";
}

const healthText = (health: "starting" | "healthy" | "unhealthy" | undefined): string =>
  health === undefined ? "" : ` (${health === "starting" ? "health: starting" : health})`;

/** `Up 3 minutes`, `Exited (137) 2 hours ago`, `Created`; `Dead` of one that is damaged. */
export function statusText(state: ContainerState, now: number): string {
  if (state.status === "created") return "Created";
  if (state.status === "dead") return "Dead";
  if (state.status === "running") {
    return `Up ${humanAge(state.startedAt, now)}${healthText(state.health)}`;
  }
  if (state.status === "paused") return `Up ${humanAge(state.startedAt, now)} (Paused)`;
  const { exitCode, finishedAt } = state.exit;
  const what = state.status === "restarting" ? "Restarting" : "Exited";
  return `${what} (${exitCode}) ${humanAge(finishedAt, now)} ago`;
}
