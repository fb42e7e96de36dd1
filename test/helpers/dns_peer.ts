/**
 * A name server of the outside, and clients, called with `serve ADDRESS`, `ask SERVER NAME TYPE udp|tcp` and
 * `pester SERVER NAME TYPE`, which asks again with each answer, in the network namespace where they are to be.
 */
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { buildAnswer, encodeName, parseQuery, RCODE, TYPE } from "../../src/network/dns_message.ts";

const [command, where = "", name = "", type = "", protocol = "udp"] = process.argv.slice(2);

/** `small.example` has one address, `big.example` a hundred; no other name is there. */
function answer(query: Uint8Array, limit: number): Uint8Array {
  const question = parseQuery(query);
  const count = { "small.example": 1, "big.example": 100 }[question?.name ?? ""];
  if (count === undefined) return buildAnswer(query, question, RCODE.NXDOMAIN);
  const data = Uint8Array.of(198, 51, 100, 1);
  const records = Array.from({ length: count }, () => ({ type: TYPE.A, data }));
  return buildAnswer(query, question, RCODE.NOERROR, records, limit);
}

const bytesOf = (data: string | Buffer) => (typeof data === "string" ? Buffer.from(data) : data);

const framed = (message: Uint8Array) =>
  Uint8Array.from([message.length >> 8, message.length & 0xff, ...message]);

function serve(): void {
  const udp = createSocket("udp4", (query, { address, port }) =>
    udp.send(answer(query, 512), port, address),
  );
  const tcp = createServer((socket) =>
    socket.on("data", (bytes) => socket.write(framed(answer(bytesOf(bytes).subarray(2), 0xffff)))),
  );
  udp.bind(53, where, () => tcp.listen(53, where, () => console.log("ready")));
}

/** Prints the code, whether it is cut, and the count of records with the data of the first. */
function show(message: Uint8Array): never {
  const [flags = 0, code = 0] = message.subarray(2);
  const count = ((message[6] ?? 0) << 8) | (message[7] ?? 0);
  const end = parseQuery(message.with(2, 0))?.end ?? 12;
  const data = count === 0 ? [] : message.slice(end + 12, end + 12 + (message[end + 11] ?? 0));
  const rcode = Object.entries(RCODE).find(([, value]) => value === (code & 15))?.[0];
  const text = type === "PTR" ? new TextDecoder().decode(data as Uint8Array) : [...data].join(".");
  console.log(rcode, (flags & 2) === 0 ? "whole" : "cut", count, JSON.stringify(text));
  process.exit(0);
}

function query(): Uint8Array {
  const head = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  const code = TYPE[type as keyof typeof TYPE];
  return Uint8Array.from([...head, ...encodeName(name), 0, code, 0, 1]);
}

function pester(): void {
  const socket = createSocket("udp4");
  const ask = () => socket.send(query(), 53, where);
  socket.on("message", ask);
  socket.once("message", () => console.log("ready"));
  setInterval(ask, 1000); // should one be lost
  ask();
}

function ask(): void {
  setTimeout(() => process.exit(1), 9000);
  if (protocol === "udp") {
    const socket = createSocket("udp4", (message) => show(message));
    socket.send(query(), 53, where);
    return;
  }
  let pending = Buffer.alloc(0);
  const socket = connect(53, where, () => socket.write(framed(query())));
  socket.on("data", (bytes) => {
    pending = Buffer.concat([pending, bytesOf(bytes)]);
    if (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0))
      show(pending.subarray(2));
  });
}

if (command === "serve") serve();
else if (command === "pester") pester();
else ask();
