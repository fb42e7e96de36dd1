/** Docker's default isolation, from inside and from outside. Each test says which defence it was seen to fail without. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { parseStatus } from "../helpers/container_facts.ts";
import { program, testIf } from "../helpers/requires.ts";

const engine = useEngine();

let binaries: string;
beforeAll(() => {
  binaries = mkdtempSync(join(tmpdir(), "mydocker-security-"));
});
afterAll(() => rmSync(binaries, { recursive: true }));

/** Compiles a program of test/fixtures. @returns its path */
function compile(name: string): string {
  const [binary, source] = [join(binaries, name), join(import.meta.dir, `../fixtures/${name}.c`)];
  const { stderr } = Bun.spawnSync(["gcc", "-O1", "-w", "-static", "-o", binary, source]);
  expect(stderr.toString()).toBe("");
  return binary;
}

/** /proc/PID/status of a container's process. */
async function status(options: readonly string[], pid: number | "self" = "self") {
  const { out, err, exitCode } = await engine.run([
    ...options,
    "busybox",
    "cat",
    `/proc/${pid}/status`,
  ]);
  expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
  return parseStatus(out);
}

/** `--security-opt seccomp=` a file with this profile. */
function profileOption(name: string, profile: unknown): string[] {
  const file = join(engine.directory("profiles"), `${name}.json`);
  writeFileSync(file, typeof profile === "string" ? profile : JSON.stringify(profile));
  return ["--security-opt", `seccomp=${file}`];
}

// Seen to fail without the call of loadSeccomp in init, those with --init each without its own.
describe("a seccomp filter", () => {
  test.each([
    "",
    "-u 1000",
    "--init",
    "--init -u 1000",
    "--security-opt no-new-privileges",
    "--security-opt no-new-privileges -u 1000",
    "--cap-add SYS_ADMIN",
    "--cap-drop ALL",
    "--security-opt seccomp=builtin",
    "--security-opt seccomp:builtin --privileged",
  ])("is there with %p", async (line) => {
    const options = line.split(" ").filter((word) => word !== "");
    const fields = await status(options);
    expect([fields["Seccomp"], fields["Seccomp_filters"]]).toEqual(["2", "1"]);
    expect((await status(options, 1))["Seccomp"]).toBe("2");
  });

  test("is there when init comes from a fresh process", async () => {
    const { out } = await engine.run(["busybox", "grep", "Seccomp:", "/proc/self/status"], {
      env: { MYDOCKER_FORK: "stage" },
    });
    expect(out).toBe("Seccomp:\t2");
  });

  test.each([
    "--privileged",
    "--security-opt seccomp=unconfined",
    "--security-opt seccomp:unconfined",
  ])("is not there with %s", async (line) => {
    expect((await status(line.split(" ")))["Seccomp"]).toBe("0");
  });

  test("does not need what it refuses: a profile may refuse all but what the command calls", async () => {
    // Everything of init's own, up to the last capset and execve, is over by then.
    const refused = ["sendmsg", "rt_sigaction", "prctl", "setresuid", "setgroups", "openat2"];
    const options = profileOption("narrow", {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: refused, action: "SCMP_ACT_ERRNO", errnoRet: 38 }],
    });
    const { exitCode, err } = await engine.run([...options, "-u", "1", "busybox", "true"]);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
  });

  test("of a file decides by its rules for the container's capabilities", async () => {
    const options = profileOption("rules", {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 122 },
        {
          names: ["chmod", "fchmod", "fchmodat"],
          action: "SCMP_ACT_ERRNO",
          excludes: { caps: ["CAP_NET_ADMIN"] },
        },
      ],
    });
    const command = ["busybox", "sh", "-c", "mkdir /x; chmod 700 /tmp && echo changed"];
    const without = await engine.run([...options, ...command]);
    expect(without.err).toContain("Disk quota exceeded");
    expect(without.out).toBe("");
    const having = await engine.run([...options, "--cap-add", "NET_ADMIN", ...command]);
    expect(having.out).toBe("changed");
  });

  test.each([
    ["no JSON", "{", "seccomp profile: not JSON"],
    [
      "an action that does not exist",
      { defaultAction: "SCMP_ACT_HOPE" },
      'seccomp profile: $.defaultAction: "SCMP_ACT_HOPE" is none of',
    ],
    [
      "a listener, which run has not",
      {
        defaultAction: "SCMP_ACT_ALLOW",
        listenerPath: "/run/agent.sock",
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
      },
      "$.listenerPath",
    ],
  ])("of a file with %s is refused", async (name, profile, message) => {
    const options = profileOption(name.replaceAll(" ", "_"), profile);
    const { exitCode, err } = await engine.run([...options, "busybox", "true"]);
    expect(exitCode).toBe(125);
    expect(err).toContain(message);
    expect(err.split("\n")).toHaveLength(1);
  });
});

test("--security-opt systempaths=unconfined masks nothing, and leaves the rest", async () => {
  const script = "wc -c </proc/keys; grep -c ' /proc/sys ' /proc/self/mountinfo";
  const options = ["--security-opt", "systempaths=unconfined"];
  const { out } = await engine.run([...options, "busybox", "sh", "-c", script]);
  const [size, mounts] = out.split("\n");
  expect(Number(size)).toBeGreaterThan(0);
  expect(mounts).toBe("0");
  expect((await engine.run(["busybox", "sh", "-c", script])).out).toBe("0\n1");
  expect((await status(options))["CapEff"]).toBe("00000000a80425fb");
});

describe("the session keyring", () => {
  /** What a process of a container sees as its own. Docker's profile refuses keyctl(2). */
  async function describeKeyring(...options: string[]): Promise<string[]> {
    const binary = compile("session_keyring");
    const mount = ["-v", `${binary}:/keyring:ro`, "--security-opt", "seccomp=unconfined"];
    const { out, err } = await engine.run([...mount, ...options, "busybox", "/keyring"]);
    expect(err).toBe("");
    return out.split(";");
  }

  // Seen to fail without enterKeyring in init.
  testIf(
    [program("gcc")],
    "is the container's own, and whoever the user is may search it",
    async () => {
      for (const options of [[], ["-u", "1000"], ["--init"], ["--privileged"]]) {
        const idFile = join(engine.directory("ids"), `id-${options.join("")}`);
        const [type, uid, , permissions, name] = await describeKeyring(
          "--cidfile",
          idFile,
          ...options,
        );
        expect([type, uid, permissions]).toEqual(["keyring", "0", "3f1b0000"]);
        expect(name).toBe(`_ses.${readFileSync(idFile, "utf8")}`);
      }
    },
  );

  // Seen to fail with EDQUOT let through, and with ENOSYS an error.
  testIf(
    [program("strace")],
    "may be missing from the kernel, but not for want of quota",
    async () => {
      const call = (errno: string) =>
        engine.bash(
          `strace -f -o /dev/null -e trace=keyctl -e inject=keyctl:error=${errno} "$MYDOCKER" run --rm busybox echo fine`,
        );
      expect(await call("ENOSYS")).toMatchObject({ exitCode: 0, out: "fine", err: "" });
      const { exitCode, err } = await call("EDQUOT");
      expect(exitCode).toBe(125);
      expect(err).toContain("root_,}maxkeys allows (EDQUOT)");
    },
  );
});

test("oom_score_adj is 0 whatever the caller has, unless asked for", async () => {
  const script = 'echo 300 >/proc/$$/oom_score_adj; "$MYDOCKER" run --rm "$@"';
  const call = (...args: string[]) =>
    engine.bash(script, { args: [...args, "busybox", "cat", "/proc/self/oom_score_adj"] });
  // Without CAP_SYS_RESOURCE nobody can lower it, and a container is not to fail for that.
  const own = BigInt(`0x${parseStatus(readFileSync("/proc/self/status", "utf8"))["CapEff"]}`);
  expect((await call()).out).toBe((own & (1n << 24n)) === 0n ? "300" : "0");
  expect((await call("--oom-score-adj", "400")).out).toBe("400");
});

leavesNothingBehind(engine);
