import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program, testIf } from "../../../test/helpers/requires.ts";
import { TREE, wordsAfter } from "../tree.ts";
import { completionScript as bashScript } from "./bash.ts";
import { completionScript as fishScript } from "./fish.ts";
import { completionModel } from "./model.ts";
import { completionScript as zshScript } from "./zsh.ts";

const model = await completionModel(TREE);

/** A mydocker that only knows what to list. */
const FAKE = `mydocker() {
  case $1 in
    ps) echo web; echo worker ;;
    volume) echo data; echo cache ;;
    images) echo busybox:latest; echo debian:12; echo debian:13 ;;
  esac
}
`;

interface Shell {
  readonly name: string;
  readonly script: string;
  /** What a shell checks its syntax by. */
  readonly check: readonly string[];
}

const SHELLS: readonly Shell[] = [
  { name: "bash", script: bashScript(model), check: ["bash", "-n"] },
  { name: "zsh", script: zshScript(model), check: ["zsh", "-f", "-n"] },
  { name: "fish", script: fishScript(model), check: ["fish", "--no-config", "-n"] },
];

for (const { name, script, check } of SHELLS) {
  testIf([program(name)], `${name} can parse its script`, () => {
    const { exitCode, stderr } = Bun.spawnSync([...check, "/dev/stdin"], {
      stdin: new TextEncoder().encode(script),
    });
    expect(stderr.toString()).toBe("");
    expect(exitCode).toBe(0);
  });
}

describe("bash offers", () => {
  const replies = new Map<string, string[]>();
  const LINES: Readonly<Record<string, string[] | RegExp>> = {
    "mydocker ": new RegExp(`^${wordsAfter().join(" ")}$`),
    "mydocker ru": ["run"],
    "mydocker -": ["-D", "--debug", "-v", "--version", "--help"],
    "mydocker container r": ["run", "rm", "restart", "rename"],
    "mydocker run --cpus": ["--cpus", "--cpuset-cpus", "--cpuset-mems"],
    "mydocker container run --memory-r": ["--memory-reservation"],
    "mydocker run --network ": ["bridge", "none", "host"],
    "mydocker run --network=h": ["host"],
    "mydocker run -net n": ["none"],
    "mydocker -D run -it --name x -m 64m --ipc p": ["private"],
    "mydocker run --name ": [],
    "mydocker run -it d": ["debian:12", "debian:13"],
    // readline takes what is behind the colon for the word
    "mydocker run -it debian:": ["12", "13"],
    "mydocker run -v /a:/b --name x busy": ["busybox:latest"],
    "mydocker run busybox --net": [],
    "mydocker rm -f w": ["web", "worker"],
    "mydocker rm web wo": ["worker"],
    "mydocker volume rm -f c": ["cache"],
    "mydocker rmi busybox:latest debian:13": ["13"],
    "mydocker completion z": ["zsh"],
    "mydocker run --rootfs /et": ["/etc"],
    "mydocker import /etc/passw": /^\/etc\/passwd/,
    "mydocker frob ": [],
  };

  beforeAll(() => {
    // compopt works only while readline completes.
    const calls = Object.keys(LINES).map(
      (line) => `COMP_LINE='${line}' COMP_POINT=${line.length}; COMPREPLY=()
_mydocker; printf '%s\\0' "\${COMPREPLY[@]}" ''; printf '\\n\\0'`,
    );
    const { stdout, stderr } = Bun.spawnSync(
      [
        "bash",
        "--norc",
        "-c",
        `${FAKE}compopt() { :; }\n${bashScript(model)}\n${calls.join("\n")}`,
      ],
      { env: { PATH: "/usr/bin:/bin" } },
    );
    expect(stderr.toString()).toBe("");
    stdout
      .toString()
      .split("\n\0")
      .forEach((block, index) => {
        const line = Object.keys(LINES)[index];
        if (line !== undefined)
          replies.set(
            line,
            block.split("\0").filter((word) => word !== ""),
          );
      });
  });

  test.each(Object.entries(LINES))("%j", (line, expected) => {
    const offered = replies.get(line);
    if (expected instanceof RegExp) expect(offered?.toSorted().join(" ")).toMatch(expected);
    else expect(offered).toEqual(expected);
  });
});

describe("fish offers", () => {
  const LINES: Readonly<Record<string, string[]>> = {
    "mydocker ru": ["run"],
    "mydocker run --network ": ["bridge", "host", "none"],
    "mydocker container run --sec": ["--security-opt"],
    "mydocker -D ps --no": ["--no-trunc"],
    "mydocker rm wo": ["worker"],
    "mydocker completion ": ["bash", "fish", "zsh"],
  };
  // fish writes into its home.
  const home = mkdtempSync(join(tmpdir(), "mydocker-fish-"));
  afterAll(() => rmSync(home, { recursive: true }));

  testIf([program("fish")], Object.keys(LINES).join(", "), () => {
    const lists = FAKE.replace("mydocker() {", "").replace(/\}\n$/, "");
    const fake = `function mydocker\n  bash -c '${lists.replaceAll("'", "\\'")}' mydocker $argv\nend\n`;
    for (const [line, expected] of Object.entries(LINES)) {
      const { stdout, stderr } = Bun.spawnSync(
        ["fish", "--no-config", "-c", `${fake}${fishScript(model)}\ncomplete -C '${line}'`],
        {
          cwd: "/",
          env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home },
        },
      );
      expect(stderr.toString()).toBe("");
      const offered = stdout.toString().trim().split("\n");
      expect(offered.map((each) => each.split("\t")[0] ?? "")).toEqual(expected);
    }
  });
});

test("options that are refused are not offered", () => {
  for (const { script } of SHELLS) {
    expect(script).toContain("memory-swap");
    expect(script).not.toContain("--gpus");
  }
});
