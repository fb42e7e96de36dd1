/**
 * The socket at which the monitor of a container listens: `<run>/sockets/<id>`. It is reached through
 * its directory's descriptor, since the address of a UNIX socket has room for 107 bytes only.
 */
import { isErrno } from "../ffi/call.ts";
import { close, fdPath, O, open } from "../linux/fd.ts";
import { unlinkIfExists } from "../linux/file.ts";
import { connectTo, listenAt, receiveMessage, sendMessage } from "../linux/socket.ts";
import type { Paths } from "../paths.ts";
import { socketDirectory } from "./state_directories.ts";

function inDirectory<T>(paths: Paths, act: (directory: string) => T): T {
  const fd = open(socketDirectory(paths), O.O_PATH | O.O_DIRECTORY);
  try {
    return act(fdPath(fd));
  } finally {
    close(fd);
  }
}

/** Listens for a container. The caller owns it (ownership.ts). @returns a descriptor */
export function listenFor(paths: Paths, id: string): number {
  removeSocket(paths, id); // of a monitor that was killed
  return inDirectory(paths, (directory) => listenAt(`${directory}/${id}`));
}

/** Connects to a container's monitor. @returns undefined when it has none */
export function connectToMonitor(paths: Paths, id: string): number | undefined {
  try {
    return inDirectory(paths, (directory) => connectTo(`${directory}/${id}`));
  } catch (error) {
    if (isErrno(error, "ENOENT", "ECONNREFUSED")) return undefined;
    throw error;
  }
}

/** Has a container's monitor do something. @returns what it says; nothing if there is none, or none any more */
export function askMonitor(paths: Paths, id: string, message: Uint8Array): Uint8Array | undefined {
  const socket = connectToMonitor(paths, id);
  if (socket === undefined) return undefined;
  try {
    sendMessage(socket, message);
    return receiveMessage(socket)?.bytes;
  } catch (error) {
    if (isErrno(error, "EPIPE", "ECONNRESET")) return undefined; // it ends just now
    throw error;
  } finally {
    close(socket);
  }
}

/** Removes the socket. Missing is fine. */
export function removeSocket(paths: Paths, id: string): void {
  unlinkIfExists(`${socketDirectory(paths)}/${id}`);
}
