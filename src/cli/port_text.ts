/** Ports as `ps` and `port` show them (docker/cli: cli/command/formatter, DisplayablePorts). */
import type { PublishedPort } from "../network/state.ts";

/** What Docker calls the address of a port that is on all of them. */
export const hostAddress = ({ hostIp, version }: PublishedPort): string =>
  hostIp ?? (version === 4 ? "0.0.0.0" : "::");

/** `0.0.0.0:80`, `[::]:80`. */
export function hostSide(port: PublishedPort): string {
  const ip = hostAddress(port);
  return `${ip.includes(":") ? `[${ip}]` : ip}:${port.hostPort}`;
}

const byPlace = (a: PublishedPort, b: PublishedPort): number =>
  a.port - b.port ||
  a.protocol.localeCompare(b.protocol) ||
  a.version - b.version ||
  hostAddress(a).localeCompare(hostAddress(b)) ||
  a.hostPort - b.hostPort;

/** In Docker's order: by the container's port. */
export const sortedPorts = (ports: readonly PublishedPort[]): PublishedPort[] =>
  ports.toSorted(byPlace);

/** `0.0.0.0:8000-8001->80-81/tcp, …`: one part for each row of ports that follow one another. */
export function portsText(ports: readonly PublishedPort[]): string {
  const groups = new Map<string, PublishedPort[][]>();
  for (const port of sortedPorts(ports)) {
    const key = `${port.version} ${hostAddress(port)} ${port.protocol}`;
    const rows = groups.get(key) ?? [];
    groups.set(key, rows);
    const row = rows.at(-1);
    const last = row?.at(-1);
    const follows = last?.port === port.port - 1 && last.hostPort === port.hostPort - 1;
    if (row !== undefined && follows) row.push(port);
    else rows.push([port]);
  }
  return [...groups.values()]
    .flat()
    .map((row) => {
      const [first, last] = [row[0], row.at(-1)] as [PublishedPort, PublishedPort];
      const range = (a: number, b: number) => (a === b ? `${a}` : `${a}-${b}`);
      const ip = hostAddress(first);
      const host = `${ip.includes(":") ? `[${ip}]` : ip}:${range(first.hostPort, last.hostPort)}`;
      return `${host}->${range(first.port, last.port)}/${first.protocol}`;
    })
    .join(", ");
}
