/** What `--network` says: none, the host's, another container's, or networks of ours. */
import type { Connection } from "../network/connect.ts";
import { DEFAULT_NETWORK } from "../network/network.ts";
import type { RunOptions } from "./run_options.ts";

/** What the start of a container has to do with networks. */
export interface NetworkPlan {
  /** path of the network namespace of another container */
  readonly namespace?: string;
  /** the container whose files in /etc it has */
  readonly etcOf?: string;
  /** that of the other container, whose network it has */
  readonly hostname?: string;
  readonly connection?: Connection;
  /** what its files in /etc say */
  readonly etc?: { readonly hosts: string; readonly resolvConf: string };
}

/** Whether a container is on networks of ours. */
export const isOnNetworks = ({ network }: Pick<RunOptions, "network">): boolean =>
  network !== "none" && network !== "host" && !network.startsWith("container:");

/** Whether it is on a network where containers have names: it has a resolver, which its monitor is. */
export const needsResolver = ({
  network,
  networks,
}: Pick<RunOptions, "network" | "networks">): boolean =>
  isOnNetworks({ network }) &&
  (networks ?? [{ network }]).some((each) => each.network !== DEFAULT_NETWORK);

/** Whether it has a network namespace of its own. */
export const hasOwnNetwork = ({ network }: Pick<RunOptions, "network">): boolean =>
  network !== "host" && !network.startsWith("container:");
