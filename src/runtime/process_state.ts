/** Hands the listener of a seccomp filter to whoever answers it (config-linux.md, "The Container Process State"). */
import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { close } from "../linux/fd.ts";
import { connectTo, sendMessage } from "../linux/socket.ts";
import type { Seccomp } from "../seccomp/profile.ts";

/** Which process it is about. */
export interface ListenedProcess {
  readonly pid: number;
  /**
   * the container's state as JSON (runtime.md, "State"): `creating` for its first process, whose pid it
   * has as well, `running` for one that joins
   */
  readonly state: string;
}

/**
 * Sends the state of a process with the listener beside it, on a connection of its own.
 * @throws {MydockerError} when nobody listens at the profile's listenerPath
 */
export function sendProcessState(
  { listenerPath, listenerMetadata }: Pick<Seccomp, "listenerPath" | "listenerMetadata">,
  { pid, state }: ListenedProcess,
  listener: number,
): void {
  if (listenerPath === undefined) throw new MydockerError("linux.seccomp.listenerPath is missing");
  const whole: { ociVersion: string } = JSON.parse(state);
  const message = {
    ociVersion: whole.ociVersion,
    fds: ["seccompFd"],
    pid,
    ...(listenerMetadata === undefined ? {} : { metadata: listenerMetadata }),
    state: whole,
  };
  let socket: number | undefined;
  try {
    socket = connectTo(listenerPath, "stream");
    sendMessage(socket, encodeBytes(JSON.stringify(message)), listener);
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    const why = `${listenerPath}: ${errnoText(cause.errno)}`;
    throw new MydockerError(`the seccomp listener cannot be handed over to ${why}`, { cause });
  } finally {
    if (socket !== undefined) close(socket);
  }
}
