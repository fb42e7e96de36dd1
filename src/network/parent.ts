/**
 * Networks that are on a device of the host, their parent, without a bridge: macvlan and ipvlan, with
 * Docker's options (libnetwork: drivers/macvlan, drivers/ipvlan). Their traffic is not the host's.
 */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { inNetworkNamespace } from "../namespaces/visit.ts";
import { deleteLink, IFF_UP, type Link, type LinkKind, newLink, setLink } from "../netlink/link.ts";
import { NetlinkError } from "../netlink/message.ts";
import { RouteSocket } from "../netlink/route_socket.ts";
import { DRIVERS, type Network, type ParentDriver } from "./network.ts";
import { hardwareAddress } from "./rules.ts";
import type { Endpoint } from "./state.ts";

// linux/if_link.h
const MACVLAN_MODES = { bridge: 4, private: 1, vepa: 2, passthru: 8 } as const;
const IPVLAN_MODES = { l2: 0, l3: 1, l3s: 2 } as const;
const IPVLAN_FLAGS = { bridge: 0, private: 1, vepa: 2 } as const;

/** Options of each driver, and what they may be; absent: anything. */
const OPTIONS: Readonly<Record<ParentDriver, Readonly<Record<string, object | undefined>>>> = {
  macvlan: { parent: undefined, macvlan_mode: MACVLAN_MODES },
  ipvlan: { parent: undefined, ipvlan_mode: IPVLAN_MODES, ipvlan_flag: IPVLAN_FLAGS },
};
/** How long the namespace of one that was killed may keep its hardware address. Milliseconds. */
const PATIENCE = 2000;

type Described = Pick<Network, "driver" | "options">;

/** A network's driver unless that makes bridges. */
export const parentDriver = ({ driver }: Pick<Network, "driver">): ParentDriver | undefined =>
  driver === "bridge" ? undefined : driver;

/** Whether its containers send everything out of their device, and nobody is asked where to. */
export const isRouted = ({ driver, options }: Described): boolean =>
  driver === "ipvlan" && /^l3s?$/.test(options["ipvlan_mode"] ?? "l2");

/** @throws {MydockerError} for an option that the driver does not have */
export function checkOptions(
  driver: ParentDriver,
  options: Readonly<Record<string, string>>,
): void {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(OPTIONS[driver], name)) {
      throw new MydockerError(`the driver ${driver} has no option ${name}`, {
        hint: `it has ${Object.keys(OPTIONS[driver]).join(", ")}`,
      });
    }
    const values = OPTIONS[driver][name];
    if (values === undefined || Object.keys(values).includes(value)) continue;
    throw new MydockerError(`requested ${driver} ${name} '${value}' is not valid`, {
      hint: `it is one of ${Object.keys(values).join(", ")}`,
    });
  }
}

/** Whether the parent is a device of our own, which leads nowhere. */
const hasOwnParent = ({ internal, options }: Pick<Network, "internal" | "options">): boolean =>
  internal || (options["parent"] ?? "") === "";

/** What the parent is called. */
export function parentName(network: Pick<Network, "id" | "internal" | "driver" | "options">) {
  const prefix = network.driver === "macvlan" ? "dm" : "di";
  const own = `${prefix}-${network.id.slice(0, 12)}`;
  return hasOwnParent(network) ? own : (network.options["parent"] as string);
}

/** The parent; one of our own is made if it is missing. @throws {MydockerError} when it is not there */
export function openParent(network: Network, socket: RouteSocket): Link {
  const { link: name } = network;
  const found = socket.link({ name });
  if (found !== undefined && (!hasOwnParent(network) || (found.flags & IFF_UP) !== 0)) return found;
  if (!hasOwnParent(network)) {
    throw new MydockerError(`the parent ${name} of network ${network.name} does not exist`, {
      exitCode: 125,
      hint: "`ip link` shows what can be one; ours does not make VLANs: `ip link add link eth0 name eth0.10 type vlan id 10`",
    });
  }
  try {
    // Another command may do the same.
    ignoring("EEXIST", () => socket.change(newLink({ name, kind: { type: "dummy" } })));
    socket.change(setLink({ name }, { up: true }));
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    throw new MydockerError(`cannot make a parent for network ${network.name}: ${error.reason}`, {
      exitCode: 125,
      cause: error,
      hint: "name a device of this host with -o parent=; without one it takes a kernel with dummy devices",
    });
  }
  return socket.link({ name }) as Link;
}

function ignoring(code: "EEXIST" | "ENODEV", act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!isErrno(error, code)) throw error;
  }
}

/** Removes a parent of our own. */
export function removeParent(network: Network): void {
  if (!hasOwnParent(network)) return;
  using socket = new RouteSocket();
  ignoring("ENODEV", () => socket.change(deleteLink({ name: network.link })));
}

function kindOf({ driver, options }: Described): LinkKind {
  const pick = <T extends string>(values: Readonly<Record<T, number>>, name: string, usual: T) =>
    values[(options[name] ?? usual) as T];
  return driver === "macvlan"
    ? { type: "macvlan", mode: pick(MACVLAN_MODES, "macvlan_mode", "bridge") }
    : {
        type: "ipvlan",
        mode: pick(IPVLAN_MODES, "ipvlan_mode", "l2"),
        flags: pick(IPVLAN_FLAGS, "ipvlan_flag", "bridge"),
      };
}

/** Makes a container's device, in its namespace. @param namespace descriptor @throws {MydockerError} */
export function plugChild(
  socket: RouteSocket,
  network: Network,
  { device, mac }: Endpoint,
  namespace: number,
): void {
  const parent = openParent(network, socket);
  const request = newLink({
    name: device,
    link: parent.index,
    namespace: { fd: namespace },
    kind: kindOf(network),
    ...(mac === "" ? {} : { address: hardwareAddress(mac) }),
  });
  const isBusy = (error: unknown): boolean =>
    isErrno(error, "EBUSY") || isErrno(error, "EADDRINUSE");
  for (const deadline = Date.now() + PATIENCE; ; Bun.sleepSync(1)) {
    try {
      socket.change(request);
      // A macvlan takes its hardware address when it is brought up.
      inNetworkNamespace(namespace, () => {
        using inside = new RouteSocket();
        try {
          inside.change(setLink({ name: device }, { up: true }));
        } catch (error) {
          inside.change(deleteLink({ name: device }));
          throw error;
        }
      });
      return;
    } catch (error) {
      if (isBusy(error) && Date.now() < deadline) continue;
      if (!(error instanceof NetlinkError)) throw error;
      throw explain(network, error);
    }
  }
}

function explain({ name, driver, link }: Network, error: NetlinkError): MydockerError {
  const hints: Readonly<Record<string, string>> = {
    EOPNOTSUPP: `this kernel has no ${driver}`,
    EBUSY: `${link} is used in another way: macvlan and ipvlan exclude each other, and ports of a bridge`,
    EINVAL: `${link} may be used in another mode already`,
    EPERM: "that needs CAP_NET_ADMIN; --network none and --network host do without",
  };
  const hint = hints[error.code];
  return new MydockerError(`cannot connect the container to network ${name}: ${error.reason}`, {
    exitCode: 125,
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Removes a container's devices that are no veth, so that their addresses are free at once. */
export function unplugChildren(endpoints: readonly Endpoint[], namespace: number): void {
  const children = endpoints.filter(({ driver }) => driver !== undefined);
  if (children.length === 0) return;
  inNetworkNamespace(namespace, () => {
    using inside = new RouteSocket();
    for (const { device } of children)
      ignoring("ENODEV", () => inside.change(deleteLink({ name: device })));
  });
}

/** Whether a driver is one of ours. */
export const isDriver = (name: string): name is Network["driver"] =>
  (DRIVERS as readonly string[]).includes(name);
