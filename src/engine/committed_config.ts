/** What an image runs that is made of a container: what the container was asked to run, under the changes. Pure. */
import { applyChanges } from "../images/config_changes.ts";
import type { ImageRunConfig } from "../images/image_config.ts";
import { SIGNALS } from "../linux/process.ts";
import type { ContainerRecord } from "./container_record.ts";
import type { RunOptions } from "./run_options.ts";

/** What of a container's record goes into an image. */
export type Committable = Pick<ContainerRecord, "image" | "labels" | "options">;

/** The configuration of a container, and that of an image made of it. */
export interface CommittedConfig {
  /** what Docker calls the container's configuration */
  readonly container: ImageRunConfig;
  readonly image: ImageRunConfig;
}

/**
 * @param image what the container's image runs
 * @param changes Dockerfile instructions
 */
export function committedConfig(
  image: ImageRunConfig,
  record: Committable,
  changes: readonly string[],
): CommittedConfig {
  const container = compact(containerConfig(image, record));
  const { Cmd, Entrypoint, ...others } = container;
  const changed = applyChanges(others, changes);
  // A new entry point has no use for what was told to the old one.
  const command =
    changed.Entrypoint !== undefined ? {} : { Entrypoint, ...(changed.Cmd ? {} : { Cmd }) };
  return { container, image: compact({ ...changed, ...command }) };
}

type Loose = { [K in keyof ImageRunConfig]?: ImageRunConfig[K] | undefined };

/** The image's, under the options of `run`. */
function containerConfig(image: ImageRunConfig, record: Committable): Loose {
  const { labels, options } = record;
  const { OnBuild: _, ...rest } = image; // triggers of the image below have had their time
  return {
    ...rest,
    ...commandOf(image, record),
    Env: mergeEnv(options.env, image.Env ?? []),
    Labels: labels,
    User: options.user ?? image.User,
    WorkingDir: options.workdir ?? image.WorkingDir,
    Volumes: { ...image.Volumes, ...anonymousVolumes(options) },
    ExposedPorts: { ...image.ExposedPorts, ...exposedPorts(options) },
    Healthcheck: options.healthcheck ?? image.Healthcheck,
    StopSignal:
      options.stopSignal === undefined ? image.StopSignal : signalName(options.stopSignal),
  };
}

function commandOf(
  image: ImageRunConfig,
  { image: name, options }: Committable,
): Pick<Loose, "Cmd" | "Entrypoint"> {
  const { entrypoint } = options;
  // A command of the default image stands where others have an image.
  const isCommand = options.image !== undefined && options.image !== name;
  const words = isCommand ? [options.image ?? "", ...options.args] : options.args;
  if (entrypoint !== undefined) {
    return { Entrypoint: entrypoint === "" ? undefined : [entrypoint], Cmd: words };
  }
  return { Entrypoint: image.Entrypoint, Cmd: words.length > 0 ? words : image.Cmd };
}

/** `-v /path`: nobody gave the volume a name. */
function anonymousVolumes({ mounts }: RunOptions): Record<string, object> {
  const own = mounts.filter(
    (mount) => mount.type === "volume" && mount.anonymous === true && mount.origin === "volume",
  );
  return Object.fromEntries(own.map(({ target }) => [target, {}]));
}

/** Of `--expose`, and of `-p`, which exposes as well. */
function exposedPorts({ exposed = [], ports = [] }: RunOptions): Record<string, object> {
  const named = exposed.flatMap(({ protocol, ports: [first, last] }) =>
    Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`),
  );
  const published = ports.map(({ port, protocol }) => `${port}/${protocol}`);
  return Object.fromEntries([...named, ...published].map((port) => [port, {}]));
}

function signalName(number: number): string {
  const known = Object.entries(SIGNALS).find(([, value]) => value === number);
  return known?.[0] ?? String(number);
}

const nameOf = (entry: string): string => entry.split("=", 1)[0] ?? "";

/** Variables of both, those of the first first. One without a value takes the other's away. */
function mergeEnv(first: readonly string[], second: readonly string[]): string[] {
  const known = new Set(first.map(nameOf));
  const all = new Map(first.map((entry) => [nameOf(entry), entry]));
  return [...all.values(), ...second.filter((entry) => !known.has(nameOf(entry)))].filter((entry) =>
    entry.includes("="),
  );
}

/** Without what is empty. */
function compact(config: Loose): ImageRunConfig {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => {
      if (value === undefined || value === null || value === "") return false;
      return typeof value !== "object" || Object.keys(value).length > 0;
    }),
  );
}
