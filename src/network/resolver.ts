/**
 * The resolver of one container, beside whoever attends to it: it listens at 127.0.0.11 in the
 * container's network namespace, answers for containers on its networks, and asks the host's servers
 * for the rest, from the host's network (docs/decisions/names.md).
 */
import { isErrno, SysError } from "../ffi/call.ts";
import { close, POLLIN, POLLOUT, type PollEntry } from "../linux/fd.ts";
import {
  bindInet,
  boundPort,
  connectInet,
  listenInet,
  newSender,
  receiveFrom,
  sendTo,
} from "../linux/inet_socket.ts";
import { accept, bringLoopbackUp, receiveNow, sendNow } from "../linux/socket.ts";
import { inNetworkNamespace } from "../namespaces/visit.ts";
import { formatIp, parseIp } from "../netlink/ip_address.ts";
import type { Paths } from "../paths.ts";
import {
  answersQuery,
  buildAnswer,
  encodeName,
  parseQuery,
  type Question,
  RCODE,
  reverseAddress,
  TYPE,
} from "./dns_message.ts";
import { framed, joined, wholeMessage } from "./dns_stream.ts";
import { RESOLVER } from "./etc.ts";
import { lookUpAddress, lookUpName } from "./names.ts";
import { redirectResolver } from "./resolver_nat.ts";
import { type Endpoint, Generation, readNetworks } from "./state.ts";

const DNS_PORT = 53;
/** How long a server may take, and a client of a stream may say nothing, in milliseconds. */
const PATIENCE = 4000;
/** How many questions may wait for an answer from outside. */
const MOST = 512;
/** How many answers are remembered. */
const REMEMBERED = 1000;
/** Bytes as a text, one for one. */
const binary = new TextDecoder("latin1");
/** How many datagrams are read before others have their turn. */
const TURN = 64;
/** How long a client that was answered may take to ask again, in milliseconds. */
const STAY = 0.05;
/** Where that is of no use, it is tried every 256 turns. */
const MOST_FRUITLESS = 8;

/** What the resolver of a container needs to know. */
export interface ResolverOptions {
  readonly paths: Paths;
  readonly id: string;
  /** addresses of the servers that are asked for what nobody here is called */
  readonly servers: () => readonly string[];
}

/** A descriptor that something is done with when it is ready, or when its time is over. */
interface Watch {
  readonly fd: number;
  events: number;
  deadline: number;
  ready(): void;
  expired(): void;
}

interface Asked {
  readonly query: Uint8Array;
  readonly question: Question;
  readonly reply: (answer: Uint8Array) => void;
}

const FOREVER = Number.POSITIVE_INFINITY;

/** What poll(2) waits for is in {@link entries}; {@link step} does what is to be done then. */
export class Resolver implements Disposable {
  readonly #watches = new Map<number, Watch>();
  readonly #buffer = new Uint8Array(65536);
  readonly #generation: Generation;
  /** Answers without their ids, by queries without theirs; as long as nothing has changed. */
  readonly #known = new Map<string, Uint8Array>();
  #endpoints: readonly Endpoint[] = [];
  #waiting = 0;
  /** Of the datagram that is being answered. */
  readonly #sender = newSender();
  /** How often in a row it was of no use to stay, and how many turns it is not tried. */
  #fruitless = 0;
  #sleeps = 0;

  /** @param namespace descriptor of the container's network namespace */
  constructor(
    readonly options: ResolverOptions,
    namespace: number,
  ) {
    this.#generation = new Generation(options.paths);
    const [udp, tcp] = inNetworkNamespace(namespace, () => {
      bringLoopbackUp(); // its first process may not have come to that yet
      return bindBoth(0, redirectResolver) ?? (bindBoth(DNS_PORT) as [number, number]);
    });
    listenInet(tcp);
    this.#lookAgain();
    this.#watch(udp, POLLIN, FOREVER, () => this.#takeDatagrams(udp));
    this.#watch(tcp, POLLIN, FOREVER, () => this.#takeClient(tcp));
  }

  /** What to wait for. */
  entries(): PollEntry[] {
    return [...this.#watches.values()].map(({ fd, events }) => ({ fd, events, revents: 0 }));
  }

  /** How long to wait at most, in milliseconds. */
  get patience(): number {
    let first = FOREVER;
    for (const { deadline } of this.#watches.values()) first = Math.min(first, deadline);
    return first === FOREVER ? FOREVER : Math.max(0, Math.ceil(first - performance.now()));
  }

  /** Goes on, after waiting. */
  step(entries: readonly PollEntry[]): void {
    const now = performance.now();
    for (const { fd, revents } of entries) {
      const watch = this.#watches.get(fd);
      if (watch === undefined) continue;
      if (revents !== 0) watch.ready();
      else if (watch.deadline <= now) watch.expired();
    }
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#watches.values()) close(fd);
    this.#watches.clear();
    this.#generation[Symbol.dispose]();
  }

  /** Before anything is answered: what is remembered may not be true any more. */
  #lookAgain(): void {
    if (!this.#generation.hasPassed()) return;
    const { paths, id } = this.options;
    this.#known.clear();
    this.#endpoints = readNetworks(paths, id)?.endpoints ?? [];
  }

  #watch(
    fd: number,
    events: number,
    deadline: number,
    ready: () => void,
    expired: () => void = () => {},
  ): Watch {
    const watch = { fd, events, deadline, ready, expired };
    this.#watches.set(fd, watch);
    return watch;
  }

  #drop(fd: number): void {
    this.#watches.delete(fd);
    close(fd);
  }

  /**
   * Answers what has come, and what comes at once: a client that has its answer asks for the next name
   * sooner than poll(2) has slept and woken up, unless it has to wait for our processor.
   */
  #takeDatagrams(fd: number): void {
    const mayStay = this.#sleeps === 0;
    if (!mayStay) this.#sleeps--;
    let [last, isStaying] = [0, false];
    for (let count = 0; count < TURN; ) {
      const length = receiveFrom(fd, this.#buffer, this.#sender);
      if (length >= 0) {
        count++;
        if (isStaying) this.#fruitless = 0;
        isStaying = false;
        this.#answerDatagram(fd, this.#buffer.subarray(0, length));
      } else if (!mayStay) return;
      else if (!isStaying) [last, isStaying] = [performance.now(), true];
      else if (performance.now() - last > STAY) {
        this.#fruitless = Math.min(this.#fruitless + 1, MOST_FRUITLESS);
        this.#sleeps = 2 ** this.#fruitless;
        return;
      }
    }
  }

  #answerDatagram(fd: number, query: Uint8Array): void {
    this.#lookAgain();
    const key = binary.decode(query.subarray(2));
    const known = this.#known.get(key);
    if (known === undefined) {
      const to = { address: this.#sender.address.slice(), size: this.#sender.size.slice() };
      this.#take(query.slice(), key, (answer) => sendTo(fd, answer, to)); // if not, it asks again
      return;
    }
    known[0] = query[0] as number;
    known[1] = query[1] as number;
    sendTo(fd, known, this.#sender);
  }

  #takeClient(listener: number): void {
    let fd: number;
    try {
      fd = accept(listener);
    } catch (error) {
      if (error instanceof SysError) return;
      throw error;
    }
    if (this.#watches.size > MOST) {
      close(fd);
      return;
    }
    let pending = new Uint8Array(0);
    const drop = () => this.#drop(fd);
    const watch = this.#watch(
      fd,
      POLLIN,
      performance.now() + PATIENCE,
      () => {
        const bytes = this.#receive(fd);
        if (bytes === undefined) return;
        if (bytes.length === 0) return drop();
        pending = joined(pending, bytes);
        const message = wholeMessage(pending);
        if (message === undefined) return;
        pending = pending.slice(message.length + 2);
        watch.events = 0; // one after the other
        this.#lookAgain();
        this.#take(message, undefined, (answer) => {
          if (this.#watches.get(fd) !== watch) return; // it has gone
          watch.events = POLLIN;
          watch.deadline = performance.now() + PATIENCE;
          if (!this.#send(fd, framed(answer))) drop();
        });
      },
      drop,
    );
  }

  /** @returns what there is; nothing at the end; undefined when there is nothing yet */
  #receive(fd: number): Uint8Array | undefined {
    try {
      return this.#buffer.slice(0, receiveNow(fd, this.#buffer));
    } catch (error) {
      if (isErrno(error, "EAGAIN")) return undefined;
      if (error instanceof SysError) return new Uint8Array(0);
      throw error;
    }
  }

  #send(fd: number, bytes: Uint8Array): boolean {
    try {
      return sendNow(fd, bytes) === bytes.length;
    } catch (error) {
      if (error instanceof SysError) return false;
      throw error;
    }
  }

  /** @param key of a question by datagram, what its answer is remembered by */
  #take(query: Uint8Array, key: string | undefined, reply: (answer: Uint8Array) => void): void {
    const question = parseQuery(query);
    if (question === undefined) {
      const isAnswer = query.length < 12 || ((query[2] ?? 0) & 0x80) !== 0;
      if (!isAnswer) reply(buildAnswer(query, undefined, RCODE.FORMERR));
      return;
    }
    const isStream = key === undefined;
    const endpoints = this.#endpoints;
    const own = this.#ownAnswer(query, question, endpoints, isStream);
    if (own !== undefined) {
      // Of several addresses each comes first in its turn.
      const isOne = own[6] === 0 && (own[7] as number) <= 1 && question.type !== TYPE.PTR;
      if (key !== undefined && isOne && this.#known.size < REMEMBERED) this.#known.set(key, own);
      return reply(own);
    }
    const failure = () => reply(buildAnswer(query, question, RCODE.SERVFAIL));
    const reachesOut = endpoints.some(({ gateway, gateway6 }) => gateway ?? gateway6);
    if (!reachesOut || this.#waiting >= MOST) return failure();
    this.#waiting++;
    const answered = (answer: Uint8Array) => {
      this.#waiting--;
      reply(answer);
    };
    this.#ask({ query, question, reply: answered }, isStream, [...this.options.servers()]);
  }

  #ownAnswer(
    query: Uint8Array,
    question: Question,
    endpoints: readonly Endpoint[],
    isStream: boolean,
  ): Uint8Array | undefined {
    const { name, type, isInternet, size } = question;
    if (!isInternet) return undefined;
    const limit = isStream ? 0xffff : size;
    const { paths } = this.options;
    if (type === TYPE.PTR) {
      const address = reverseAddress(name);
      const found = address && lookUpAddress(paths, endpoints, formatIp(address));
      if (found === undefined) return undefined;
      const data = encodeName(found);
      return buildAnswer(query, question, RCODE.NOERROR, [{ type, data }], limit);
    }
    const found = lookUpName(paths, endpoints, name);
    if (found === undefined) return undefined;
    const addresses = type === TYPE.A ? found.ip : type === TYPE.AAAA ? found.ip6 : [];
    const records = shuffled(addresses).flatMap((ip) => {
      const data = parseIp(ip);
      return data === undefined ? [] : [{ type, data }];
    });
    return buildAnswer(query, question, RCODE.NOERROR, records, limit);
  }

  /** Asks the first of the servers, and the next one when it does not answer. */
  #ask(asked: Asked, isStream: boolean, servers: readonly string[]): void {
    const [server, ...others] = servers;
    const { query, question, reply } = asked;
    if (server === undefined) return reply(buildAnswer(query, question, RCODE.SERVFAIL));
    const address = parseIp(server);
    const next = () => this.#ask(asked, isStream, others);
    if (address === undefined) return next();
    let fd: number;
    try {
      fd = connectInet(isStream ? "tcp" : "udp", { address, port: DNS_PORT });
    } catch (error) {
      if (error instanceof SysError) return next();
      throw error;
    }
    const give = (answer: Uint8Array | undefined) => {
      this.#drop(fd);
      if (answer === undefined) next();
      else reply(answer);
    };
    if (isStream) this.#askByStream(fd, asked, give);
    else this.#askByDatagram(fd, asked, give);
  }

  /** A port of its own for each question: who cannot see it cannot answer it. */
  #askByDatagram(fd: number, { query, question }: Asked, give: (a?: Uint8Array) => void): void {
    const isSent = this.#send(fd, query);
    const ready = () => {
      const answer = this.#receive(fd);
      if (answer === undefined) return;
      if (answer.length === 0) give();
      else if (answersQuery(answer, query, question)) give(answer);
    };
    this.#watch(fd, POLLIN, performance.now() + PATIENCE, ready, () => give());
    if (!isSent) give();
  }

  #askByStream(fd: number, { query, question }: Asked, give: (a?: Uint8Array) => void): void {
    let pending = new Uint8Array(0);
    const ready = () => {
      if (watch.events === POLLOUT) {
        watch.events = POLLIN;
        if (!this.#send(fd, framed(query))) give();
        return;
      }
      const bytes = this.#receive(fd);
      if (bytes === undefined) return;
      if (bytes.length === 0) return give();
      pending = joined(pending, bytes);
      const answer = wholeMessage(pending);
      if (answer === undefined) return;
      give(answersQuery(answer, query, question) ? answer : undefined);
    };
    const watch = this.#watch(fd, POLLOUT, performance.now() + PATIENCE, ready, () => give());
  }
}

/**
 * Sockets of both transports at the resolver's address.
 * @param isFine says whether they are wanted, by their ports
 */
function bindBoth(
  port: number,
  isFine?: (udp: number, tcp: number) => boolean,
): [number, number] | undefined {
  using undo = new DisposableStack();
  const sockets = (["udp", "tcp"] as const).map((transport) => {
    const fd = bindInet(transport, { address: parseIp(RESOLVER) as Uint8Array, port });
    undo.defer(() => close(fd));
    return fd;
  }) as [number, number];
  if (isFine?.(boundPort(sockets[0]), boundPort(sockets[1])) === false) return undefined;
  undo.move();
  return sockets;
}

/** So that not all go to the same one of several that have a name. */
function shuffled<T>(list: readonly T[]): T[] {
  const start = Math.floor(Math.random() * list.length);
  return [...list.slice(start), ...list.slice(0, start)];
}
