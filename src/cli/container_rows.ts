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

/** By field, in the order of Docker's JSON. Each is made when it is asked for: there may be thousands of rows. */
export function containerRow(
  { record, state }: Pick<ContainerSummary, "record" | "state">,
  { now, whole, size = { own: 0, all: 0 } }: ContainerRowOptions,
): ContainerRow {
  return {
    get Command() {
      const command = commandText(record.command);
      return quote(whole ? command : ellipsis(command, 20));
    },
    get CreatedAt() {
      return listedTime(record.created);
    },
    get ID() {
      return whole ? record.id : record.id.slice(0, 12);
    },
    Image: record.image,
    get Labels() {
      return Object.entries(record.labels)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => `${name}=${value}`)
        .join(",");
    },
    get LocalVolumes() {
      return String(mountsOf(record).filter(({ type }) => type === "volume").length);
    },
    get Mounts() {
      const width = whole ? Number.POSITIVE_INFINITY : 15;
      return mountsOf(record)
        .map((mount) => ellipsis(nameOf(mount), width))
        .join(",");
    },
    Names: record.name,
    get Networks() {
      return record.networks.join(",");
    },
    get Ports() {
      return record.ports.length === 0 ? "" : portsText(record.ports);
    },
    get RunningFor() {
      return `${humanAge(record.created, now)} ago`;
    },
    get Size() {
      const virtual = size.all > 0 ? ` (virtual ${humanSize(size.all)})` : "";
      return `${humanSize(size.own)}${virtual}`;
    },
    State: state.status,
    get Status() {
      return statusText(state, now);
    },
    Label: (name) => (Object.hasOwn(record.labels, name) ? (record.labels[name] ?? "") : ""),
  };
}

/** As Docker's daemon shows it, quotes inside or not. */
function commandText([program = "", ...args]: readonly string[]): string {
  return [program, ...args.map((arg) => (arg.includes(" ") ? `'${arg}'` : arg))].join(" ");
}

const mountsOf = ({ options }: ContainerSummary["record"]): MountRequest[] =>
  (options?.mounts ?? []).filter(({ type }) => type !== "tmpfs");

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
