/** Which containers `ps` shows: its filters (moby: daemon/list.go), `-a`, `-n`. */
import { MydockerError } from "../errors.ts";
import { openImageStore } from "../images/store.ts";
import { log } from "../log.ts";
import type { Paths } from "../paths.ts";
import { ContainerStore } from "./container_store.ts";
import { type ContainerSummary, isUp } from "./list.ts";

/** `--filter NAME=VALUE`. */
export interface ContainerFilter {
  readonly name: string;
  readonly value: string;
}

/** Which of them. */
export interface ListChoice {
  /** those that do not run, too */
  readonly all: boolean;
  /** so many of the newest, whether they run or not; below 1: no limit */
  readonly last: number;
  readonly filters: readonly ContainerFilter[];
}

const STATES = ["paused", "restarting", "removing", "running", "dead", "created", "exited"];
const HEALTH = ["none", "starting", "healthy", "unhealthy"];

/** Filters that need nothing of containers that are not shown. */
const OF_ITS_OWN = [
  "ancestor",
  "expose",
  "health",
  "label",
  "name",
  "network",
  "publish",
  "volume",
];

/** Whether only those that are up come into question. */
export const onlyUp = ({ all, last, filters }: ListChoice): boolean =>
  !all && last < 1 && filters.every(({ name }) => OF_ITS_OWN.includes(name));

/**
 * Of one name one value must match, of several names each.
 * @param all the newest first
 * @throws {MydockerError} for a filter or a value that there is not
 */
export function chooseContainers(
  paths: Paths,
  all: readonly ContainerSummary[],
  { all: asked, last, filters }: ListChoice,
): ContainerSummary[] {
  const byName = Map.groupBy(filters, ({ name }) => name);
  const tests = [...byName].map(([name, given]) => {
    const make = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
    if (make === undefined) throw new MydockerError(`invalid filter '${name}'`);
    const values = given.map(({ value }) => value);
    return make(values, { paths, all });
  });
  // Who asks for a state wants those that do not run as well.
  const withStopped = asked || last > 0 || byName.has("status");
  const chosen = all.filter(
    (each, index) => (withStopped || isUp(each.state)) && tests.every((test) => test(each, index)),
  );
  return last > 0 ? chosen.slice(0, last) : chosen;
}

interface Context {
  readonly paths: Paths;
  readonly all: readonly ContainerSummary[];
}

type Test = (container: ContainerSummary, index: number) => boolean;
type MakeTest = (values: readonly string[], context: Context) => Test;

const FILTERS: Readonly<Record<string, MakeTest>> = {
  ancestor,
  before: (values, context) => {
    const limit = position(values, context);
    return (_, index) => index > limit;
  },
  exited: (values) => {
    const codes = values.map((value) => {
      if (!/^[+-]?\d+$/.test(value)) {
        throw new MydockerError(`strconv.Atoi: parsing "${value}": invalid syntax`);
      }
      return Number(value);
    });
    return ({ state }) =>
      state.status === "exited" &&
      state.exit.startedAt !== undefined &&
      codes.includes(state.exit.exitCode);
  },
  expose: (values, { paths }) => {
    const isOne = portTest("expose", values);
    // Of those that run, as Docker has it.
    return ({ record, state }) =>
      isUp(state) && exposedPorts(paths, record).some(([port, type]) => isOne(port, type));
  },
  health: (values) => {
    checkValues("health", values, HEALTH);
    return ({ state }) => values.includes(healthOf(state));
  },
  id: (values, { all }) => {
    const ids = values.flatMap((value) => {
      const found = all.filter(({ record }) => record.id.startsWith(value));
      return found.length === 1 ? found.map(({ record }) => record.id) : [];
    });
    return ({ record }) => ids.includes(record.id);
  },
  // There are no others than those of this kind.
  "is-task": (values) => () => !values.some((value) => ["1", "true"].includes(value)),
  label:
    (values) =>
    ({ record: { labels } }) =>
      values.every((wanted) => {
        const [name = "", ...rest] = wanted.split("=");
        if (!Object.hasOwn(labels, name)) return false;
        return rest.length === 0 || labels[name] === rest.join("=");
      }),
  name: (values) => {
    const patterns = values.map((value) => value.replace(/^\//, ""));
    return ({ record }) =>
      patterns.some((value) => matches(value, record.name) || matches(value, `/${record.name}`));
  },
  network:
    (values) =>
    ({ record }) =>
      record.networks.some((name) => values.includes(name)),
  since: (values, context) => {
    const limit = position(values, context);
    return (_, index) => index < limit;
  },
  publish: (values) => {
    const isOne = portTest("publish", values);
    return ({ record }) => record.ports.some((each) => isOne(each.hostPort, each.protocol));
  },
  status: (values) => {
    checkValues("status", values, STATES);
    return ({ state }) => values.includes(state.status);
  },
  volume:
    (values) =>
    ({ record }) =>
      (record.options?.mounts ?? []).some((mount) => {
        const source =
          mount.type === "volume" ? mount.name : mount.type === "bind" ? mount.source : undefined;
        return values.includes(mount.target) || (source !== undefined && values.includes(source));
      }),
};

function checkValues(filter: string, values: readonly string[], known: readonly string[]): void {
  const wrong = values.find((value) => !known.includes(value));
  if (wrong === undefined) return;
  throw new MydockerError(`Unrecognised filter value for ${filter}: ${wrong}`);
}

/** `80`, `80/udp`, `8000-8080`. @throws {MydockerError} */
function portTest(
  filter: string,
  values: readonly string[],
): (port: number, protocol: string) => boolean {
  const ranges = values.map((value) => {
    const [, first, last = first, protocol = "tcp"] =
      /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(value) ?? [];
    if (first === undefined || Number(last) < Number(first) || Number(last) > 65535) {
      throw new MydockerError(`error while looking up for ${filter} ${value}: invalid port`);
    }
    return { first: Number(first), last: Number(last), protocol };
  });
  return (port, protocol) =>
    ranges.some(
      (range) => range.protocol === protocol && port >= range.first && port <= range.last,
    );
}

/** Of the container and of its image. */
function exposedPorts(
  paths: Paths,
  { imageId, options }: ContainerSummary["record"],
): (readonly [number, string])[] {
  const own = (options?.exposed ?? []).flatMap(({ ports: [first, last], protocol }) =>
    Array.from({ length: last - first + 1 }, (_, index) => [first + index, protocol] as const),
  );
  const published = (options?.ports ?? []).map(({ port, protocol }) => [port, protocol] as const);
  return [...own, ...published, ...portsOfImage(paths, imageId)];
}

/** None of one that is damaged, or was removed by force. */
function portsOfImage(paths: Paths, id: string | undefined): (readonly [number, string])[] {
  try {
    const image = id === undefined ? undefined : openImageStore(paths.root).get(id);
    return Object.keys(image?.config.config?.ExposedPorts ?? {}).map((text) => {
      const [port, protocol = "tcp"] = text.split("/");
      return [Number(port), protocol] as const;
    });
  } catch (error) {
    if (error instanceof MydockerError) return [];
    throw error;
  }
}

const healthOf = (state: ContainerSummary["state"]): string =>
  (state.status === "running" ? state.health : undefined) ?? "none";

/** Where the container stands that the last of the values names. @throws {MydockerError} when there is none */
function position(values: readonly string[], { paths, all }: Context): number {
  const store = new ContainerStore(paths);
  const ids = values.map((value) => store.resolve(value));
  return all.findIndex(({ record }) => record.id === ids.at(-1));
}

/** As Docker takes it: itself, or a regular expression that is found in it; one that is none matches nothing else. */
function matches(pattern: string, text: string): boolean {
  if (pattern === text) return true;
  try {
    return new RegExp(pattern).test(text);
  } catch {
    return false;
  }
}

/** Containers of an image, and of what was built on it: the layers of that begin with all of its. */
function ancestor(values: readonly string[], { paths }: Context): Test {
  const store = openImageStore(paths.root);
  const images = values.flatMap((value) => {
    try {
      const image = store.resolve(value);
      if (image !== undefined) return [image];
      log.debug(`no image is called ${value}`);
    } catch (error) {
      if (!(error instanceof MydockerError)) throw error;
      log.debug(error.message);
    }
    return [];
  });
  return ({ record: { imageId, layers = [] } }) =>
    images.some(
      (image) =>
        image.id === imageId ||
        (image.layers.length < layers.length &&
          image.layers.every((layer, index) => layer === layers[index])),
    );
}
