/** Handing a descriptor to whoever asked for it by a UNIX socket. */
import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { close } from "../linux/fd.ts";
import { connectTo, sendMessage } from "../linux/socket.ts";

/**
 * Sends a descriptor, with its name as the message beside it (runc's terminals.md).
 * @throws {MydockerError} when nobody listens there
 */
export function sendDescriptor(path: string, name: string, fd: number): void {
  let socket: number;
  try {
    socket = connectTo(path, "stream");
  } catch (cause) {
    throw new MydockerError((cause as Error).message, { cause });
  }
  try {
    sendMessage(socket, encodeBytes(name), fd);
  } finally {
    close(socket);
  }
}
