/** `--sysctl`, and the values that a container of its own network gets. */
import { MydockerError } from "../errors.ts";
import { hasOwnNetwork } from "./network_mode.ts";
import type { RunOptions } from "./run_options.ts";

/** Everything that starts so belongs to the IPC namespace (ipc_namespaces(7)). */
const IPC =
  /^(kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)$/;
const UTS = /^kernel\.domainname$/;
const NETWORK = /^net\./;

/** As Docker: ping without a capability, and low ports for everybody, where no other machine is concerned. */
const NETWORK_DEFAULTS: Readonly<Record<string, string>> = {
  "net.ipv4.ping_group_range": "0 2147483647",
  "net.ipv4.ip_unprivileged_port_start": "0",
};

/**
 * What is written before the command starts.
 * @throws {MydockerError} for a value that is not the container's own: it would change the host
 */
export function sysctlsOf(
  options: Pick<RunOptions, "sysctls" | "network" | "ipc" | "uts" | "userns">,
): Record<string, string> {
  for (const name of Object.keys(options.sysctls)) {
    if (!/^[A-Za-z0-9_./-]+$/.test(name) || name.includes("..") || name.startsWith("/")) {
      throw new MydockerError(`invalid sysctl: ${JSON.stringify(name)}`, { exitCode: 125 });
    }
    const dotted = name.replaceAll("/", ".");
    const [namespace, mode] = NETWORK.test(dotted)
      ? ["network", hasOwnNetwork(options) ? "private" : "host"]
      : IPC.test(dotted)
        ? ["IPC", options.ipc]
        : UTS.test(dotted)
          ? ["UTS", options.uts]
          : [];
    if (namespace === undefined) {
      throw new MydockerError(`sysctl '${name}' is not in a separate kernel namespace`, {
        exitCode: 125,
        hint: "set it on the host: it is the same for all containers",
      });
    }
    if (mode === "host") {
      throw new MydockerError(`sysctl '${name}' not allowed in the host's ${namespace} namespace`, {
        exitCode: 125,
      });
    }
  }
  if (!hasOwnNetwork(options)) return { ...options.sysctls };
  // Every group of a user namespace of 65536 ids: there are no others to name.
  const groups = { "net.ipv4.ping_group_range": "0 65535" };
  const own = options.userns === "private" ? groups : {};
  return { ...NETWORK_DEFAULTS, ...own, ...options.sysctls };
}
