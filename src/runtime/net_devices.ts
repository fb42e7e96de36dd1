/** `linux.netDevices`: network devices of ours that the container gets (config-linux.md). */
import { MydockerError } from "../errors.ts";
import { close, O, open } from "../linux/fd.ts";
import { inNetworkNamespace } from "../namespaces/visit.ts";
import {
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFA_F_PERMANENT,
  type InterfaceAddress,
  newAddress,
  RT_SCOPE_UNIVERSE,
} from "../netlink/address.ts";
import { formatIp } from "../netlink/ip_address.ts";
import { IFF_LOOPBACK, IFF_UP, type Link, setLink } from "../netlink/link.ts";
import { NetlinkError } from "../netlink/message.ts";
import { RouteSocket } from "../netlink/route_socket.ts";
import type { Linux } from "./spec.ts";

/** A device, and what of it is lost on the way. */
interface Device {
  readonly link: Link;
  readonly addresses: readonly InterfaceAddress[];
  /** in the container; may end in `%d` */
  readonly name: string;
}

/** The other side: a namespace, and a socket in it. */
interface Side {
  readonly namespace: number;
  readonly socket: RouteSocket;
}

/** The devices of one container, from the host's namespace into its own, and back if it fails. */
export class NetDevices implements Disposable {
  readonly #undo = new DisposableStack();
  readonly #host: Side;
  readonly #devices: readonly Device[];
  readonly #moved: { device: Device; index: number; inside: Side }[] = [];

  /** Looks for them. @throws {MydockerError} for one that is missing, or cannot be moved */
  constructor(readonly linux: Pick<Linux, "netDevices" | "namespaces">) {
    try {
      this.#host = this.#open("/proc/thread-self/ns/net");
      const { socket } = this.#host;
      this.#devices = Object.entries(linux.netDevices).map(([hostName, { name = hostName }]) => {
        const link = socket.link({ name: hostName });
        if (link === undefined) throw failed(hostName, "no such network device");
        if ((link.flags & IFF_LOOPBACK) !== 0) {
          throw failed(hostName, "every network namespace has its own loopback device");
        }
        const addresses = socket.addresses(link.index).filter(isKept).map(asGiven);
        return { link, addresses, name };
      });
    } catch (error) {
      this.#undo.dispose();
      throw error;
    }
  }

  /** Gives them to a process's network namespace, whatever has had them before. @throws {MydockerError} */
  move(pid: number): void {
    this.putBack();
    const path = this.linux.namespaces.find(({ type }) => type === "network")?.path;
    const inside = this.#open(path ?? `/proc/${pid}/ns/net`);
    const taken = new Set(inside.socket.links().map(({ name }) => name));
    for (const { link, name } of this.#devices) {
      if (taken.has(name)) throw failed(link.name, `the container already has a device ${name}`);
    }
    for (const device of this.#devices) {
      about(device, () => {
        const index = transfer(device.link.index, this.#host, inside, device.name);
        this.#moved.push({ device, index, inside });
        setUp(inside, index, device.addresses, true);
      });
    }
  }

  /**
   * Takes them back from a container that could not be created. Its namespace is still there: we
   * hold it open. What fails is left to the kernel, which destroys virtual devices with it.
   */
  putBack(): void {
    for (const { device, index, inside } of this.#moved.splice(0)) {
      try {
        const back = transfer(index, inside, this.#host, device.link.name);
        setUp(this.#host, back, device.addresses, (device.link.flags & IFF_UP) !== 0);
      } catch (error) {
        if (!(error instanceof Error)) throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#undo.dispose();
  }

  #open(path: string): Side {
    const namespace = open(path, O.O_RDONLY);
    this.#undo.defer(() => close(namespace));
    const socket = inNetworkNamespace(namespace, () => new RouteSocket());
    return { namespace, socket: this.#undo.use(socket) };
  }
}

const failed = (name: string, why: string, cause?: unknown): MydockerError =>
  new MydockerError(`cannot give network device ${name} to the container: ${why}`, { cause });

function about({ link, name }: Device, act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const as = name === link.name ? "" : ` as ${name}`;
    const why = error instanceof NetlinkError ? error.reason : error.message;
    throw failed(`${link.name}${as}`, why, error);
  }
}

/** "All permanent IP addresses of any family with global scope." */
const isKept = ({ flags, scope }: InterfaceAddress): boolean =>
  (flags & IFA_F_PERMANENT) !== 0 && scope === RT_SCOPE_UNIVERSE;

/** Without the flags that are the kernel's own business. */
const asGiven = (address: InterfaceAddress): InterfaceAddress => ({
  ...address,
  flags: address.flags & (IFA_F_NODAD | IFA_F_NOPREFIXROUTE),
});

/** Moves and renames in one call. @returns its index there: that of here may be in use */
function transfer(index: number, from: Side, to: Side, name: string): number {
  const before = new Set(to.socket.links().map((link) => link.index));
  from.socket.change(setLink({ index }, { namespace: { fd: to.namespace } }, name));
  if (!name.includes("%")) {
    const found = to.socket.link({ name });
    if (found !== undefined) return found.index;
  }
  const stem = name.split("%")[0] as string;
  const added = to.socket
    .links()
    .filter((link) => !before.has(link.index) && link.name.startsWith(stem));
  const [found] = added;
  if (found === undefined) throw new Error("it has vanished");
  return found.index;
}

/** Its addresses went when it was moved, and so did its being up. */
function setUp(
  { socket }: Side,
  index: number,
  addresses: readonly InterfaceAddress[],
  up: boolean,
): void {
  for (const address of addresses) {
    try {
      socket.change(newAddress(index, address));
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      if (error.code === "EEXIST") continue;
      const what = `its address ${formatIp(address.local)}/${address.prefixLength}`;
      throw new MydockerError(`${what}: ${error.reason}`, { cause: error });
    }
  }
  if (up) socket.change(setLink({ index }, { up }));
}
