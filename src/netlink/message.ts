/** Netlink messages (netlink(7)): headers, and what the kernel answers that is no data. */
import { type CallArgs, SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { defineStruct } from "../ffi/struct.ts";
import { align, concat, decodeAttributes, textOf } from "./attributes.ts";

export const NLM_F_REQUEST = 1;
export const NLM_F_ACK = 4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_DUMP = 0x300;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

const NLMSGERR_ATTR_MSG = 1;

const nlmsghdr = defineStruct({ len: "u32", type: "u16", flags: "u16", seq: "u32", pid: "u32" });

/** What is asked of the kernel. */
export interface Request {
  /** RTM_* */
  readonly type: number;
  /** NLM_F_*, beside those that the socket adds */
  readonly flags: number;
  /** the struct of its type, and attributes */
  readonly body: Uint8Array;
  /** operation and object for errors: `RTM_NEWLINK`, `{ name: "eth0" }` */
  readonly operation: string;
  readonly args: CallArgs;
}

/** A message of the kernel's. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly body: Uint8Array;
}

/** The kernel has refused a request; its own explanation is in the message. */
export class NetlinkError extends SysError {
  /** @param explanation the kernel's (NLMSGERR_ATTR_MSG), if it has one */
  constructor(
    operation: string,
    args: CallArgs,
    errno: number,
    readonly explanation?: string,
  ) {
    super(operation, args, errno);
    if (explanation !== undefined) this.message += ` (${explanation})`;
  }

  /** The message without the operation, for who says that in other words. */
  get reason(): string {
    const more = this.explanation === undefined ? "" : ` (${this.explanation})`;
    return `${this.code}: ${errnoText(this.errno)}${more}`;
  }
}

/** A request as it is sent. */
export function encodeMessage({ type, flags, body }: Request, seq: number): Uint8Array {
  const header = nlmsghdr.alloc();
  nlmsghdr.set(header, "len", nlmsghdr.size + body.length);
  nlmsghdr.set(header, "type", type);
  nlmsghdr.set(header, "flags", flags | NLM_F_REQUEST);
  nlmsghdr.set(header, "seq", seq);
  return concat([header, body]);
}

/** The messages of a datagram. @throws {Error} for a length that cannot be */
export function decodeMessages(datagram: Uint8Array): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at + nlmsghdr.size <= datagram.length; ) {
    const header = datagram.subarray(at);
    const length = nlmsghdr.get(header, "len");
    if (length < nlmsghdr.size || length > header.length) {
      throw new Error(`netlink: a message of ${length} bytes at ${at} of ${datagram.length}`);
    }
    messages.push({
      type: nlmsghdr.get(header, "type"),
      flags: nlmsghdr.get(header, "flags"),
      seq: nlmsghdr.get(header, "seq"),
      body: header.subarray(nlmsghdr.size, length),
    });
    at += align(length);
  }
  return messages;
}

/**
 * What NLMSG_ERROR, or NLMSG_DONE after a dump, says of a request.
 * @returns undefined when it has succeeded
 */
export function errorOf(message: Message, request: Request): NetlinkError | undefined {
  const { body, flags, type } = message;
  if (body.length < 4) return undefined; // NLMSG_DONE of an old kernel
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const errno = -view.getInt32(0, true);
  if (errno === 0) return undefined;
  return new NetlinkError(
    request.operation,
    request.args,
    errno,
    (flags & NLM_F_ACK_TLVS) === 0 ? undefined : explanation(view, body, type, flags),
  );
}

/** After the number: with NLMSG_ERROR the request's header, and the rest of it unless it was cut off. */
function explanation(
  view: DataView,
  body: Uint8Array,
  type: number,
  flags: number,
): string | undefined {
  let start = 4;
  if (type === NLMSG_ERROR) {
    const asked = (flags & NLM_F_CAPPED) === 0 ? view.getUint32(4, true) : nlmsghdr.size;
    start += align(asked);
  }
  return textOf(decodeAttributes(body.subarray(start)).get(NLMSGERR_ATTR_MSG));
}
