/**
 * A connection to systemd by D-Bus (D-Bus Specification, "Authentication Protocol"), synchronous: a
 * container's creator has nothing else to do meanwhile.
 */
import { MydockerError } from "../errors.ts";
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { close, POLLIN, poll, read } from "../linux/fd.ts";
import { connectTo, sendMessage } from "../linux/socket.ts";
import { type Call, decodeMessage, encodeCall, KIND, type Message, type Value } from "./message.ts";

/** systemd's own socket, for root alone, and the bus, which may be all that a container has been given. */
const SOCKETS = [
  { path: "/run/systemd/private", isBus: false },
  { path: "/run/dbus/system_bus_socket", isBus: true },
] as const;

/** How long an answer, or a job, is waited for in milliseconds. */
const PATIENCE = 30_000;

/** What systemd answers when it does not do what it was asked. */
export class SystemdError extends MydockerError {
  override readonly name = "SystemdError";
  /** the error's name without what all have in front: `UnitExists` */
  readonly reason: string;

  constructor(message: string, options: { reason?: string; cause?: unknown } = {}) {
    super(`systemd: ${message}`, options);
    this.reason = options.reason ?? "";
  }
}

/** A connection to whoever is at the other end of a UNIX socket. Dispose it. */
export class Connection implements Disposable {
  #received = new Uint8Array(0);
  #serial = 0;
  #deadline = 0;
  /** signals that came while an answer was waited for */
  readonly #signals: Message[] = [];

  private constructor(
    readonly socket: number,
    readonly isBus: boolean,
  ) {}

  /** Connects to systemd. @throws {MydockerError} when nobody answers */
  static open(sockets: readonly { path: string; isBus: boolean }[] = SOCKETS): Connection {
    for (const { path, isBus } of sockets) {
      const socket = tryConnect(path);
      if (socket === undefined) continue;
      const connection = new Connection(socket, isBus);
      try {
        connection.#authenticate();
        if (isBus) connection.#callBus("Hello");
      } catch (error) {
        close(socket);
        throw error;
      }
      return connection;
    }
    throw new MydockerError("cannot reach systemd", {
      hint: `is one of ${sockets.map(({ path }) => path).join(" and ")} there?`,
    });
  }

  [Symbol.dispose](): void {
    close(this.socket);
  }

  /** By the credentials of the socket: we say which user we are, and are believed if it is so. */
  #authenticate(): void {
    this.#deadline = performance.now() + PATIENCE;
    const uid = String(process.geteuid?.() ?? 0);
    const hex = [...uid].map((digit) => `3${digit}`).join("");
    // All at once, as systemd's own clients do: of a BEGIN and a call that it reads together it leaves
    // the call in its buffer until something else comes.
    this.#send(encodeBytes(`\0AUTH EXTERNAL ${hex}\r\nBEGIN\r\n`));
    let line = "";
    while (!line.endsWith("\r\n")) {
      this.#receive();
      line = decodeBytes(this.#received);
      if (line.length > 4096) break;
    }
    this.#received = new Uint8Array(0);
    if (!line.startsWith("OK ")) throw new SystemdError("it does not let us in");
  }

  /** Calls a method of systemd's. @returns what it returns @throws {SystemdError} */
  call(
    face: string,
    member: string,
    signature: string,
    values: readonly Value[],
    path = "/org/freedesktop/systemd1",
  ): readonly Value[] {
    const destination = "org.freedesktop.systemd1";
    return this.#call({ path, interface: face, member, destination, signature, values });
  }

  #callBus(member: string, ...values: readonly string[]): void {
    this.#call({
      path: "/org/freedesktop/DBus",
      interface: "org.freedesktop.DBus",
      member,
      destination: "org.freedesktop.DBus",
      signature: "s".repeat(values.length),
      values,
    });
  }

  #call(call: Omit<Call, "serial">): readonly Value[] {
    this.#deadline = performance.now() + PATIENCE;
    const serial = ++this.#serial;
    const { destination, ...rest } = call;
    this.#send(
      encodeCall({
        ...rest,
        serial,
        ...(this.isBus ? { destination: destination as string } : {}),
      }),
    );
    for (;;) {
      const message = this.#next();
      if (message.kind === KIND.signal) this.#signals.push(message);
      if (message.replySerial !== serial) continue;
      if (message.kind !== KIND.error) return message.values;
      const reason = (message.error ?? "").replace(/^.*\./, "");
      throw new SystemdError(String(message.values[0] ?? reason), { reason });
    }
  }

  /** Asks to be told of signals; systemd's own socket tells of all. */
  watch(face: string, member: string): void {
    if (this.isBus)
      this.#callBus("AddMatch", `type='signal',interface='${face}',member='${member}'`);
  }

  /** Waits for a signal. @param isIt told of what each carries */
  await(member: string, isIt: (values: readonly Value[]) => boolean): readonly Value[] {
    this.#deadline = performance.now() + PATIENCE;
    for (;;) {
      const message = this.#signals.shift() ?? this.#next();
      if (message.kind === KIND.signal && message.member === member && isIt(message.values))
        return message.values;
    }
  }

  #send(bytes: Uint8Array): void {
    try {
      sendMessage(this.socket, bytes);
    } catch (error) {
      if (!isErrno(error, "EPIPE", "ECONNRESET")) throw error;
      throw new SystemdError("it has closed the connection", { cause: error });
    }
  }

  #next(): Message {
    for (;;) {
      const decoded = decodeMessage(this.#received);
      if (decoded !== undefined) {
        this.#received = this.#received.slice(decoded.length);
        return decoded.message;
      }
      this.#receive();
    }
  }

  /** @throws {SystemdError} when nothing comes any more */
  #receive(): void {
    const wanted = [{ fd: this.socket, events: POLLIN, revents: 0 }];
    do {
      if (performance.now() > this.#deadline)
        throw new SystemdError(`no answer in ${PATIENCE / 1000} seconds`);
    } while (poll(wanted, 1000) === 0);
    const buffer = new Uint8Array(16384);
    const count = read(this.socket, buffer);
    if (count === 0) throw new SystemdError("it has closed the connection");
    const all = new Uint8Array(this.#received.length + count);
    all.set(this.#received);
    all.set(buffer.subarray(0, count), this.#received.length);
    this.#received = all;
  }
}

/** @returns undefined when nobody listens there */
function tryConnect(path: string): number | undefined {
  try {
    return connectTo(path, "stream");
  } catch (error) {
    if (isErrno(error, "ENOENT", "ECONNREFUSED", "EACCES")) return undefined;
    throw error;
  }
}
