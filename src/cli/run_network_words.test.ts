import { expect, test } from "bun:test";
import { dnsWords, exposeWords, networkWords, publishWords } from "./run_network_words.ts";
import { parseNetwork } from "./values/network.ts";
import { parseExpose, parsePublish } from "./values/publish.ts";

test("every form of a port is read again as it was", () => {
  for (const text of ["80", "8080:80", "127.0.0.1:8080:80/udp", "127.0.0.1::80", "[::1]:1:2"]) {
    expect(publishWords(parsePublish(text))).toEqual(["-p", text]);
  }
  const range = parsePublish("8000-8002:80-82/udp");
  const [, first = "", , second = "", , third = ""] = publishWords(range);
  expect([first, second, third].flatMap(parsePublish)).toEqual([...range]);
  const any = parsePublish("8000-8010:80");
  expect(publishWords(any)).toEqual(["-p", "8000-8010:80"]);
});

test("networks, exposed ports and name servers, too", () => {
  for (const text of [
    "bridge",
    "name=own,alias=a,alias=b,ip=10.1.2.3,mac-address=02:00:00:00:00:01",
  ]) {
    expect(networkWords([parseNetwork(text)])).toEqual(["--network", text]);
  }
  for (const text of ["80", "80-90/udp"]) {
    expect(exposeWords([parseExpose(text)])).toEqual(["--expose", text]);
  }
  expect(dnsWords({ servers: ["1.1.1.1"], search: ["."], options: ["ndots:2"] })).toEqual([
    ...["--dns", "1.1.1.1", "--dns-search", ".", "--dns-option", "ndots:2"],
  ]);
});
