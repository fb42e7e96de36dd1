import { describe, expect, test } from "bun:test";
import {
  CONTAINER_FORMAT,
  CONTAINER_HEADINGS,
  containerRow,
  statusText,
} from "./container_rows.ts";
import { formatObject, formatRows, tableFormat } from "./format.ts";
import { ellipsis, humanBinarySize, humanDuration, humanSize, listedTime } from "./human.ts";

const NOW = Date.parse("2024-05-01T12:00:00Z");

function container(name: string) {
  const record = {
    id: "0123456789abcdef".repeat(4),
    name,
    created: "2024-05-01T11:57:00Z",
    image: "busybox",
    layers: [],
    command: ["sh", "-c", "echo a long line of words"],
    labels: { b: "2", a: "1" },
    networks: ["none"],
    ports: [],
  };
  // Only what a row shows.
  return { record: record as never, state: { status: "created" } as const };
}

describe("a listing", () => {
  const rows = ["web", "a_very_long_name"].map((name) =>
    containerRow(container(name), { now: NOW, whole: false }),
  );
  test("is drawn as docker ps draws it", () => {
    expect(formatRows(CONTAINER_FORMAT, rows, CONTAINER_HEADINGS)).toBe(
      [
        "CONTAINER ID   IMAGE     COMMAND                  CREATED         STATUS    PORTS     NAMES",
        `0123456789ab   busybox   "sh -c 'echo a long …"   3 minutes ago   Created             web`,
        `0123456789ab   busybox   "sh -c 'echo a long …"   3 minutes ago   Created             a_very_long_name`,
        "",
      ].join("\n"),
    );
  });

  test("as JSON is an object a line", () => {
    const lines = formatRows("json", rows, CONTAINER_HEADINGS).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).Names)).toEqual(["web", "a_very_long_name"]);
  });

  test("by a template is a line each", () => {
    expect(formatRows("{{.Names}}\\t{{upper .State}}", rows, CONTAINER_HEADINGS)).toBe(
      "web\tCREATED\na_very_long_name\tCREATED\n",
    );
  });

  test("by a template as a table has the fields' headings, functions or not", () => {
    expect(formatRows("table {{.Names}}\\t{{upper .State}}", rows, CONTAINER_HEADINGS)).toBe(
      "NAMES              STATE\nweb                CREATED\na_very_long_name   CREATED\n",
    );
  });

  test("has a label's column under the end of its name", () => {
    expect(formatRows('table {{.Names}}\t{{.Label "a"}}', rows, CONTAINER_HEADINGS)).toBe(
      "NAMES              a\nweb                1\na_very_long_name   1\n",
    );
    expect(formatRows('{{.Label "none"}}|{{.Label "b"}}', rows, CONTAINER_HEADINGS)).toBe(
      "|2\n|2\n",
    );
    expect(() => formatRows("{{.Label}}", rows, CONTAINER_HEADINGS)).toThrow("want 1 got 0");
  });

  test("without rows is its heading", () => {
    expect(formatRows("table {{.Names}}\t{{.ID}}", [], CONTAINER_HEADINGS)).toBe(
      "NAMES     CONTAINER ID\n",
    );
  });

  test("whole, nothing is shortened", () => {
    const row = containerRow(container("web"), { now: NOW, whole: true });
    expect(row.ID).toHaveLength(64);
    expect(row.Command).toBe(`"sh -c 'echo a long line of words'"`);
  });
});

test("table alone is the usual table", () => {
  expect(tableFormat(undefined, "usual")).toBe("usual");
  expect(tableFormat("table", "usual")).toBe("usual");
  expect(tableFormat("table {{.ID}}", "usual")).toBe("table {{.ID}}");
});

test("one object is written as JSON or by a template", () => {
  expect(formatObject("json", { A: 1 })).toBe('{"A":1}\n');
  expect(formatObject("{{.A}}", { A: 1 })).toBe("1\n");
});

test("a status says how long, and how it ended", () => {
  expect(statusText({ status: "running", pid: 1, startedAt: "2024-05-01T11:59:58Z" }, NOW)).toBe(
    "Up 2 seconds",
  );
  const exit = { exitCode: 137, oomKilled: false, finishedAt: "2024-05-01T10:00:00Z" };
  expect(statusText({ status: "exited", exit }, NOW)).toBe("Exited (137) 2 hours ago");
});

test.each([
  [0.5, "Less than a second"],
  [1, "1 second"],
  [59, "59 seconds"],
  [60, "About a minute"],
  [120, "2 minutes"],
  [3599, "59 minutes"],
  [3600, "About an hour"],
  [5400, "2 hours"],
  [47 * 3600, "47 hours"],
  [48 * 3600, "2 days"],
  [14 * 86400, "2 weeks"],
  [60 * 86400, "2 months"],
  [730 * 86400, "2 years"],
])("%d seconds are %j", (seconds, text) => {
  expect(humanDuration(seconds)).toBe(text);
});

test("sizes have three digits by 1000, four by 1024", () => {
  expect([0, 999, 1000, 72_812_345, 1_240_000, 133_400_000].map(humanSize)).toEqual([
    "0B",
    "999B",
    "1kB",
    "72.8MB",
    "1.24MB",
    "133MB",
  ]);
  expect(humanBinarySize(2_095_792_128)).toBe("1.952GiB");
});

test("texts are cut by characters, times listed without fractions", () => {
  expect(ellipsis("äöüäöü", 4)).toBe("äöü…");
  expect(ellipsis("abcd", 4)).toBe("abcd");
  expect(listedTime("2024-05-01T12:00:00.123Z")).toBe("2024-05-01 12:00:00 +0000 UTC");
  expect(listedTime("")).toBe("");
});
