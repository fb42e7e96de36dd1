/** Networks as the fields that `network ls` shows, and as `network inspect` prints them. */
import type { InspectedNetwork, ListedNetwork } from "../engine/network_commands.ts";

/** What the table calls each field. */
export const NETWORK_HEADINGS = {
  CreatedAt: "CREATED AT",
  Driver: "DRIVER",
  ID: "NETWORK ID",
  IPv4: "IPV4",
  IPv6: "IPV6",
  Internal: "INTERNAL",
  Labels: "LABELS",
  Name: "NAME",
  Scope: "SCOPE",
} as const;

/** The usual table. */
export const NETWORK_FORMAT = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";

/** One line of `network ls`, by field. */
export type NetworkRow = Readonly<Record<keyof typeof NETWORK_HEADINGS, string>>;

/** @param whole ids are not cut */
export function networkRow(network: ListedNetwork, whole: boolean): NetworkRow {
  const { created, driver, id, ipv6, internal, labels, name } = network;
  return {
    CreatedAt: created,
    Driver: driver,
    ID: whole ? id : id.slice(0, 12),
    IPv4: "true",
    IPv6: String(ipv6),
    Internal: String(internal),
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Name: name,
    Scope: "local",
  };
}

/** In Docker's shape (api/swagger.yaml, Network). */
export function networkShape(network: InspectedNetwork): Record<string, unknown> {
  const { created, driver, id, ipv6, internal, labels, name, members, options, subnets } = network;
  return {
    Name: name,
    Id: id,
    Created: created,
    Scope: "local",
    Driver: driver,
    EnableIPv6: ipv6,
    IPAM: {
      Driver: "default",
      Options: null,
      Config: subnets.map(({ subnet, gateway, range, auxiliary }) => ({
        Subnet: subnet,
        ...(range === undefined ? {} : { IPRange: range }),
        Gateway: gateway,
        ...(auxiliary === undefined ? {} : { AuxiliaryAddresses: auxiliary }),
      })),
    },
    Internal: internal,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: Object.fromEntries(
      members.map((member) => [
        member.id,
        {
          Name: member.name,
          EndpointID: "",
          MacAddress: member.endpoint.mac,
          IPv4Address: member.endpoint.ip ?? "",
          IPv6Address: member.endpoint.ip6 ?? "",
        },
      ]),
    ),
    Options: options,
    Labels: labels,
  };
}
