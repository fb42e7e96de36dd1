/**
 * `lookup.ts NAME CLIENTS [NAMES]`: how many lookups per second so many clients get from 127.0.0.11, each
 * after the other; of NAME, or of NAME0, NAME1 and so on to so many, in turn.
 */
import { createSocket } from "node:dgram";

const [name = "", clients = "1", names = "0"] = process.argv.slice(2);
const DURATION = 1500;

const queryFor = (name: string) =>
  Buffer.from([
    ...[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    ...[name.length, ...Buffer.from(name), 0, 0, 1, 0, 1],
  ]);
const queries =
  names === "0"
    ? [queryFor(name)]
    : Array.from({ length: Number(names) }, (_, at) => queryFor(`${name}${at}`));
let next = 0;
let count = 0;
const start = performance.now();
for (let client = 0; client < Number(clients); client++) {
  const socket = createSocket("udp4");
  const ask = () => socket.send(queries[next++ % queries.length] as Buffer, 53, "127.0.0.11");
  let lost = setTimeout(ask, DURATION);
  socket.on("message", (answer) => {
    if (answer.readUInt16BE(6) > 0) count++;
    clearTimeout(lost);
    lost = setTimeout(ask, DURATION);
    ask();
  });
  ask();
}
setTimeout(() => {
  console.log(Math.round((count * 1000) / (performance.now() - start)));
  process.exit(0);
}, DURATION);
