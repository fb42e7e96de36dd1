import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import { commandHelp, groupHelp } from "./help.ts";
import { main } from "./index.ts";
import { describeRecord } from "./trace.ts";
import { COMMANDS, lookUp } from "./tree.ts";

/** What a command line that fails says on stderr, and its exit code. */
describe("failures", () => {
  let said: string[];
  let spy: ReturnType<typeof spyOn<Console, "error">>;
  beforeEach(() => {
    said = [];
    spy = spyOn(console, "error").mockImplementation((line: unknown) => {
      said.push(String(line));
    });
  });
  afterEach(() => spy.mockRestore());

  test.each<[string[], number, string[]]>([
    [["frob"], 1, [`mydocker: 'frob' is not a mydocker command. See 'mydocker --help'.`]],
    [["--frob"], 125, [`mydocker: unknown flag: --frob. See 'mydocker --help'.`]],
    [["run", "--x"], 125, [`mydocker: unknown flag: --x. See 'mydocker run --help'.`]],
    [
      ["container", "run", "-X"],
      125,
      [`mydocker: unknown shorthand flag: 'X' in -X. See 'mydocker run --help'.`],
    ],
    [["help", "frob"], 1, [`mydocker: 'frob' is not a mydocker command. See 'mydocker --help'.`]],
    [
      ["help", "image", "run"],
      1,
      [`mydocker: 'run' is not a mydocker image command. See 'mydocker image --help'.`],
    ],
    [["ps", "--x"], 125, [`mydocker: unknown flag: --x. See 'mydocker ps --help'.`]],
    [["image", "--x"], 125, [`mydocker: unknown flag: --x. See 'mydocker image --help'.`]],
    [
      ["image", "run"],
      1,
      [`mydocker: 'run' is not a mydocker image command. See 'mydocker image --help'.`],
    ],
    [
      ["rm"],
      1,
      [`mydocker: "mydocker rm" requires at least 1 argument. See 'mydocker rm --help'.`],
    ],
    [
      ["version", "x"],
      1,
      [`mydocker: "mydocker version" accepts no arguments. See 'mydocker version --help'.`],
    ],
    [
      ["import", "a", "b", "c"],
      1,
      [`mydocker: "mydocker import" requires at most 2 arguments. See 'mydocker import --help'.`],
    ],
    [
      ["completion", "tcsh"],
      1,
      [
        `mydocker: no completion for tcsh: there is bash, zsh and fish. See 'mydocker completion --help'.`,
      ],
    ],
    [
      ["version", "--format", "{{.X}}"],
      1,
      [`mydocker: template parsing error: can't evaluate field X`],
    ],
    [
      ["run", "--cidfile", "/etc/passwd"],
      125,
      [
        "mydocker: container ID file found, make sure the other container isn't running or delete /etc/passwd",
      ],
    ],
    [
      ["run", "--name", "a\u001b[31m\n\udcff"],
      125,
      [
        `mydocker: invalid argument "a\\x1b[31m\\n\\xff" for "--name" flag: Invalid container name (a\\x1b[31m\\n\\xff), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed. See 'mydocker run --help'.`,
      ],
    ],
  ])("%j", async (args, exitCode, lines) => {
    expect(await main(args)).toBe(exitCode);
    expect(said).toEqual(lines);
  });

  test("whoever is not root is told so, once the options are right", async () => {
    const uid = spyOn(process, "geteuid").mockReturnValue(1000);
    try {
      expect(await main(["run", "--x"])).toBe(125);
      expect(await main(["run", "sh"])).toBe(125);
      expect(await main(["ps"])).toBe(125);
    } finally {
      uid.mockRestore();
    }
    expect(said).toEqual([
      "mydocker: unknown flag: --x. See 'mydocker run --help'.",
      "mydocker: mydocker run needs root: start it with sudo",
      "mydocker: mydocker ps needs root: start it with sudo",
    ]);
  });
});

describe("help", () => {
  test("names every command", async () => {
    const help = await groupHelp();
    for (const { top, description } of COMMANDS.filter((entry) => entry.top !== undefined))
      expect(help).toMatch(new RegExp(`^ +${top} +${description}$`, "m"));
    expect(await groupHelp("image")).toContain("import");
  });

  test("of run shows its options and what follows them", async () => {
    const found = lookUp(["run"]);
    if (found.kind !== "command") throw new Error("run is missing");
    const help = await commandHelp(found.entry, (await found.entry.load()).command);
    expect(help).toContain("USAGE mydocker run [OPTIONS] [IMAGE] [COMMAND] [ARG...]");
    expect(help).toMatch(/^ +-m, --memory=<bytes> +Memory limit/m);
    expect(help).toMatch(/^ +--read-only +Mount/m);
    expect(help).not.toContain("gpus");
    expect(help).not.toMatch(/ $/m);
  });
});

test("a kernel call is shown with its arguments and what came of it", () => {
  const call = { syscall: "open", args: { path: "/x" } };
  expect(describeRecord({ ...call, result: 3, errno: 0 })).toBe("open /x = 3");
  expect(describeRecord({ ...call, result: -1, errno: 2 })).toBe(
    "open /x = ENOENT: no such file or directory",
  );
});
