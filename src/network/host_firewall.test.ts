import { expect, test } from "bun:test";
import { closedInput } from "./host_firewall.ts";

const chain = (table: string, name: string, more = {}) => ({
  ...{ family: 2, table, name, type: "filter", hook: 1, drops: true },
  ...more,
});

test.each([
  ["iptables -P INPUT DROP", [chain("filter", "INPUT")], "ip filter INPUT"],
  ["a chain that accepts", [chain("filter", "INPUT", { drops: false })], undefined],
  ["a chain for what is forwarded", [chain("filter", "FORWARD", { hook: 2 })], undefined],
  ["a bridge's", [chain("filter", "INPUT", { family: 7 })], undefined],
  ["NAT", [chain("nat", "INPUT", { type: "nat" })], undefined],
  [
    "firewalld",
    [chain("firewalld", "filter_INPUT", { family: 1, drops: false })],
    "inet firewalld filter_INPUT",
  ],
])("%s", (_, chains, closed) => {
  expect(closedInput(chains)).toBe(closed as string | undefined);
});
