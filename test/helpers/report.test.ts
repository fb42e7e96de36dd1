import { describe, expect, test } from "bun:test";
import { countResults, failuresIn, formatCounts, parseCounts, sumCounts } from "./report.ts";

const OK = { exitCode: 0, signal: null };
const report = (tests: number, failures: number, skipped: number) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="bun test" tests="${tests}" ` +
  `assertions="9" failures="${failures}" skipped="${skipped}" time="0.1">\n</testsuites>\n`;

describe("countResults", () => {
  test("counts what the report says", () => {
    expect(countResults(report(7, 0, 2), OK)).toEqual({ passed: 5, failed: 0, skipped: 2 });
    expect(countResults(report(7, 3, 2), { exitCode: 1, signal: null })).toEqual({
      passed: 2,
      failed: 3,
      skipped: 2,
    });
  });

  test("counts a file without a report as failed, whatever its exit code", () => {
    for (const text of [undefined, "", "<testsuites name="]) {
      expect(countResults(text, OK)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    }
  });

  test("counts a file without tests as failed", () => {
    expect(countResults(report(0, 0, 0), OK).failed).toBe(1);
  });

  test("counts a failure that the report does not know", () => {
    expect(countResults(report(4, 0, 0), { exitCode: 1, signal: null }).failed).toBe(1);
    expect(countResults(report(4, 0, 0), { exitCode: null, signal: "SIGSEGV" }).failed).toBe(1);
  });
});

test("the last line has the sum", () => {
  const sum = sumCounts([
    { passed: 5, failed: 0, skipped: 1 },
    { passed: 2, failed: 1, skipped: 0 },
  ]);
  expect(formatCounts(sum)).toBe("7 passed, 1 failed, 1 skipped");
});

/** Bun's own report, so that a change of its form is noticed. */
describe("bun's JUnit report", () => {
  const run = async (source: string) => {
    const folder = `${process.env["TMPDIR"] ?? "/tmp"}/mydocker-report-${process.pid}-${Bun.randomUUIDv7()}`;
    const file = `${folder}/one.test.ts`;
    const outfile = `${folder}/report.xml`;
    await Bun.write(file, source);
    try {
      const { exitCode, signalCode } = Bun.spawnSync(
        [process.execPath, "test", "--reporter=junit", `--reporter-outfile=${outfile}`, file],
        { cwd: folder, stdout: "ignore", stderr: "ignore" },
      );
      const text = (await Bun.file(outfile).exists()) ? await Bun.file(outfile).text() : undefined;
      return countResults(text, {
        exitCode,
        signal: signalCode ? String(signalCode) : null,
      });
    } finally {
      await Bun.$`rm -rf ${folder}`.quiet();
    }
  };
  const three =
    'import { test, expect } from "bun:test"; test("a", () => {}); test.skip("<b>", () => {});';

  test("is counted when tests pass, fail and are skipped", async () => {
    expect(await run(`${three} test("c", () => { expect(1).toBe(2); });`)).toEqual({
      passed: 1,
      failed: 1,
      skipped: 1,
    });
  });

  test("is a failure when the file throws, exits or crashes", async () => {
    const bad = ["throw new Error();", "process.exit(0);", 'process.kill(process.pid, "SIGKILL");'];
    for (const end of bad) expect((await run(`${three} ${end}`)).failed).toBe(1);
    for (const end of bad.slice(1)) {
      expect((await run(`${three} test("c", () => { ${end} });`)).failed).toBe(1);
    }
  });
});

test("a last line is read back, and nothing else", () => {
  const counts = { passed: 12, failed: 0, skipped: 3 };
  expect(parseCounts(formatCounts(counts))).toEqual(counts);
  for (const line of [
    "",
    "12 passed",
    " 12 passed, 0 failed, 3 skipped",
    "x passed, 0 failed, 3 skipped",
  ])
    expect(parseCounts(line)).toBeUndefined();
});

describe("failuresIn", () => {
  test("is what came since the result before, for each that failed", () => {
    const output = [
      "a.test.ts:",
      "(pass) one [0.1ms]",
      "error: expected 1",
      "      at a.test.ts:3",
      "(fail) two > sub",
      "(skip) three",
      "(fail) four",
      "",
      " 1 pass",
    ];
    expect(failuresIn(output.join("\n"))).toEqual([
      "error: expected 1\n      at a.test.ts:3\n(fail) two > sub",
      "(fail) four",
    ]);
    expect(failuresIn("(pass) (fail) is its name\n")).toEqual([]);
  });

  test("shows the last lines of one that printed much", () => {
    const output = `${"noise\n".repeat(5000)}error: it\n(fail) loud\n`;
    const [failure = ""] = failuresIn(output);
    expect(failure.split("\n").slice(-2)).toEqual(["error: it", "(fail) loud"]);
    expect(failure.length).toBeLessThan(1000);
  });
});
