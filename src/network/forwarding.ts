/** What the kernel passes on for a bridge, and what of its own parameters that needs. */
import { MydockerError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { ifExists, readFile, writeControl } from "../linux/file.ts";
import type { Network } from "./network.ts";

/** Sets a kernel parameter of this network namespace unless it is so; a kernel without IPv6 has some not. */
export function parameter(name: string, value: string): void {
  const path = `/proc/sys/net/${name}`;
  const present = ifExists(() => readFile(path));
  if (present === undefined || present.trim() === value) return;
  try {
    writeControl(path, value);
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    throw new MydockerError(
      `cannot set net.${name.replaceAll("/", ".")} to ${value}: ${cause.code}`,
      {
        exitCode: 125,
        cause,
      },
    );
  }
}

/**
 * Lets packets of a bridge's containers through the host, as far as the firewall does.
 * @param isFiltered false: there is none, so that nothing keeps networks apart but that nothing is passed on
 */
export function setForwarding({ link, ipv6, internal }: Network, isFiltered: boolean): void {
  const value = isFiltered ? "1" : "0";
  // For the answers to the host's own loopback, which the firewall keeps containers from.
  parameter(`ipv4/conf/${link}/route_localnet`, value);
  if (internal && isFiltered) return;
  if (isFiltered) {
    parameter("ipv4/ip_forward", "1");
    if (ipv6) parameter("ipv6/conf/all/forwarding", "1");
  }
  parameter(`ipv4/conf/${link}/forwarding`, value);
  if (ipv6) parameter(`ipv6/conf/${link}/forwarding`, value);
}
