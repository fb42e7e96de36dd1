/** What of networks is in the run directory: leases of addresses, and which container has what. */
import { encodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { readDirectory } from "../linux/directory.ts";
import { close, flock, LOCK_EX, O, open, pread, pwrite, writeAll } from "../linux/fd.ts";
import {
  ifExists,
  makeDirectories,
  readFile,
  readlinkIfLink,
  rename,
  rmdirIfEmpty,
  statIfExists,
  symlink,
  unlinkIfExists,
} from "../linux/file.ts";
import type { Paths } from "../paths.ts";

/** A container's connection to a network. Addresses are texts. */
export interface Endpoint {
  readonly network: string;
  readonly networkId: string;
  /** the bridge, or the parent */
  readonly bridge: string;
  /** absent: it is a port of a bridge */
  readonly driver?: "macvlan" | "ipvlan";
  /** its default route is its device */
  readonly isRouted?: boolean;
  /** of our side, where there is a bridge */
  readonly link: string;
  /** of the container's side */
  readonly device: string;
  /** empty: that of the parent */
  readonly mac: string;
  /** `172.17.0.2/16` */
  readonly ip?: string;
  readonly ip6?: string;
  readonly gateway?: string;
  readonly gateway6?: string;
  /** names that others find it by, beside its own */
  readonly aliases: readonly string[];
}

/** A port of the host that leads into a container. */
export interface PublishedPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  /** absent: every address of its version */
  readonly hostIp?: string;
  readonly version: 4 | 6;
  readonly hostPort: number;
  /** the container's; empty while it is on no network that the port could lead to */
  readonly ip: string;
  readonly port: number;
}

/** What a container has of networks while it runs. */
export interface ContainerNetworks {
  readonly id: string;
  readonly name: string;
  readonly hostname: string;
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly PublishedPort[];
}

const baseIn = (paths: Paths): string => `${paths.run}/networks`;
const containersIn = (paths: Paths): string => `${baseIn(paths)}/containers`;
const leasesOf = (paths: Paths, networkId: string): string =>
  `${baseIn(paths)}/leases/${networkId}`;

/** Where it is written down what a container has. */
export const networksFile = (paths: Paths, id: string): string => `${containersIn(paths)}/${id}`;

/** One name for all who write it, so that it is found when one was killed: there is one at a time. */
const temporaryOf = (path: string): string => `${path}.tmp`;

/** Does something that makes a file, and the directory first if that is missing. */
function inDirectory<T>(directory: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    makeDirectories(directory);
    return act();
  }
}

/** Writes down what a container has, or is about to get. */
export function writeNetworks(paths: Paths, state: ContainerNetworks): void {
  const path = networksFile(paths, state.id);
  inDirectory(containersIn(paths), () => {
    const fd = open(temporaryOf(path), O.O_WRONLY | O.O_CREAT | O.O_TRUNC, 0o600);
    try {
      writeAll(fd, encodeBytes(JSON.stringify(state)), path);
    } finally {
      close(fd);
    }
    rename(temporaryOf(path), path);
  });
  changed(paths);
}

const generationFile = (paths: Paths): string => `${baseIn(paths)}/generation`;

/** Lets resolvers know that what they remember may not be true any more. Called after each change. */
export function changed(paths: Paths): void {
  const path = generationFile(paths);
  const fd = inDirectory(baseIn(paths), () => open(path, O.O_WRONLY | O.O_CREAT, 0o600));
  try {
    pwrite(fd, crypto.getRandomValues(new Uint8Array(8)), 0, path);
  } finally {
    close(fd);
  }
}

/** Says whether anything has changed since it was asked last. */
export class Generation implements Disposable {
  readonly #fd: number;
  readonly #now = new Int32Array(2);
  readonly #bytes = new Uint8Array(this.#now.buffer);
  #first = 0;
  #second = 0;

  constructor(paths: Paths) {
    this.#fd = open(generationFile(paths), O.O_RDONLY);
  }

  /** One pread(2). */
  hasPassed(): boolean {
    pread(this.#fd, this.#bytes, 0);
    const [first, second] = [this.#now[0] as number, this.#now[1] as number];
    if (first === this.#first && second === this.#second) return false;
    [this.#first, this.#second] = [first, second];
    return true;
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}

/** What a container has; undefined when it has nothing. */
export function readNetworks(paths: Paths, id: string): ContainerNetworks | undefined {
  const text = ifExists(() => readFile(networksFile(paths, id)));
  try {
    return text === undefined ? undefined : (JSON.parse(text) as ContainerNetworks);
  } catch {
    return undefined; // somebody has damaged it
  }
}

/** The ports that lead into a container now. */
export const openPorts = (state: Pick<ContainerNetworks, "ports"> | undefined): PublishedPort[] =>
  state?.ports.filter(({ ip }) => ip !== "") ?? [];

/** What all running containers have. */
export function allNetworksInUse(paths: Paths): ContainerNetworks[] {
  const names = ifExists(() => readDirectory(containersIn(paths))) ?? [];
  return names
    .filter((id) => /^[0-9a-f]{64}$/.test(id))
    .flatMap((id) => readNetworks(paths, id) ?? []);
}

/** Whether anything of a container is written down. */
export const hasNetworks = (paths: Paths, id: string): boolean =>
  statIfExists(networksFile(paths, id)) !== undefined;

/** The last of what is removed of a container's networks. */
export function dropNetworks(paths: Paths, id: string): void {
  unlinkIfExists(temporaryOf(networksFile(paths, id)));
  unlinkIfExists(networksFile(paths, id));
}

/** Takes an address for a container. @returns false when somebody has it */
export function takeLease(paths: Paths, networkId: string, ip: string, id: string): boolean {
  const directory = leasesOf(paths, networkId);
  try {
    inDirectory(directory, () => symlink(id, `${directory}/${ip}`));
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** Gives an address back. */
export function dropLease(paths: Paths, networkId: string, ip: string): void {
  unlinkIfExists(`${leasesOf(paths, networkId)}/${ip}`);
}

/** The container that has an address. */
export const leaseHolder = (paths: Paths, networkId: string, ip: string): string | undefined =>
  ifExists(() => readlinkIfLink(`${leasesOf(paths, networkId)}/${ip}`));

/** The addresses of a network that somebody has. */
export function leasedAddresses(paths: Paths, networkId: string): string[] {
  return ifExists(() => readDirectory(leasesOf(paths, networkId))) ?? [];
}

/**
 * Gives back addresses that a killed `network connect` or `run` took and nobody has: those of
 * containers that have others on record, and of such as have neither a record nor an owner. The
 * caller is in {@link exclusively}, and so is whoever takes one for a container that has a record.
 */
export function sweepLeases(paths: Paths, networkId: string): void {
  for (const ip of leasedAddresses(paths, networkId)) {
    const id = leaseHolder(paths, networkId, ip);
    if (id === undefined) continue;
    const state = readNetworks(paths, id);
    const isHeld =
      state === undefined
        ? statIfExists(`${paths.run}/owners/${id}`) !== undefined
        : state.endpoints.some((endpoint) =>
            [endpoint.ip, endpoint.ip6].some((own) => own?.replace(/\/.*/, "") === ip),
          );
    if (!isHeld) dropLease(paths, networkId, ip);
  }
}

/** Every lease of every network; for who looks for those of one container. */
export function* allLeases(
  paths: Paths,
): Generator<{ networkId: string; ip: string; path: string }> {
  const base = `${baseIn(paths)}/leases`;
  for (const networkId of ifExists(() => readDirectory(base)) ?? []) {
    for (const ip of leasedAddresses(paths, networkId)) {
      yield { networkId, ip, path: `${base}/${networkId}/${ip}` };
    }
  }
}

/** Forgets that a network had leases. */
export function dropLeases(paths: Paths, networkId: string): void {
  for (const ip of leasedAddresses(paths, networkId)) dropLease(paths, networkId, ip);
  rmdirIfEmpty(leasesOf(paths, networkId));
}

/** This process is in {@link exclusively}. */
let isExclusive = false;

/** Does something that one process at a time may do: making networks, their bridges and the firewall. */
export function exclusively<T>(paths: Paths, act: () => T): T {
  if (isExclusive) return act();
  const path = `${baseIn(paths)}/lock`;
  const fd = inDirectory(baseIn(paths), () => open(path, O.O_RDWR | O.O_CREAT, 0o600));
  try {
    flock(fd, LOCK_EX);
    isExclusive = true;
    return act();
  } finally {
    isExclusive = false;
    close(fd);
  }
}
