/** The seccomp compiler against libseccomp and against the kernel. */

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULT_CAPABILITIES } from "../../src/capabilities/capabilities.ts";
import { FAMILIES } from "../../src/seccomp/architectures.ts";
import { compileSeccomp } from "../../src/seccomp/compile.ts";
import { dockerDefaultProfile } from "../../src/seccomp/docker_default.ts";
import { OPERATORS, type Operator, type Seccomp } from "../../src/seccomp/profile.ts";
import { resolveProfile } from "../../src/seccomp/resolve.ts";
import { type Call, Filter } from "../helpers/bpf_interpreter.ts";
import { libseccomp, libseccompPrograms } from "../helpers/libseccomp.ts";
import { program, root, testIf } from "../helpers/requires.ts";
import {
  callsOf,
  EDGES,
  evaluate,
  Random,
  randomArgument,
  randomProfile,
} from "../helpers/seccomp_profiles.ts";
import { waitFor } from "../helpers/wait.ts";

/** What newer calls get, which runc adds to libseccomp's program. */
const ENOSYS = 0x00050026;
/** The last call that libseccomp 2.5.4 knows: set_mempolicy_home_node. */
const LAST_KNOWN = 450;
/**
 * uretprobe and uprobe, of x86-64 only: libseccomp 2.5.4 does not know them, and kernels let them by
 * without asking a filter (__secure_computing, since Linux 6.14).
 */
const PROBES = [335, 336];

const docker = (goArch: "amd64" | "arm64", capabilities = DEFAULT_CAPABILITIES): Seccomp =>
  resolveProfile(dockerDefaultProfile(), { capabilities, kernelRelease: "6.1", goArch });

describe("libseccomp", () => {
  testIf(libseccomp, "decides as we do under Docker's profile: each number, each edge", () => {
    for (const [goArch, machine] of [
      ["amd64", "x64"],
      ["arm64", "arm64"],
    ] as const) {
      const profiles = [docker(goArch), docker(goArch, ["CAP_SYS_ADMIN", "CAP_SYS_TIME"])];
      const theirs = libseccompPrograms(profiles, machine);
      for (const [index, profile] of profiles.entries()) {
        const ours = new Filter(compileSeccomp(profile, machine).program);
        ours.verify();
        const other = new Filter(theirs[index] as Uint8Array);
        const wrong: unknown[] = [];
        for (const { audit, bit } of FAMILIES[machine].values())
          for (let number = 0; number <= LAST_KNOWN; number++)
            for (const edge of EDGES) {
              if (machine === "x64" && PROBES.includes(number)) continue;
              const call = { arch: audit, nr: number | bit, args: Array(6).fill(edge) };
              if (ours.run(call) !== other.run(call)) wrong.push([call, ours.run(call)]);
            }
        expect(wrong.slice(0, 3)).toEqual([]);
      }
    }
  });

  testIf(libseccomp, "compares as we do: each operator, at all edges", () => {
    const profiles = OPERATORS.flatMap((op) =>
      EDGES.flatMap((value) =>
        (op === "SCMP_CMP_MASKED_EQ" ? EDGES : [0n]).map(
          (valueTwo): Seccomp => ({
            defaultAction: "SCMP_ACT_ERRNO",
            architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            syscalls: [
              {
                names: ["openat"],
                action: "SCMP_ACT_ALLOW",
                args: [{ index: 3, op, value, valueTwo }],
              },
            ],
          }),
        ),
      ),
    );
    expect(differences(profiles, openatCalls()).slice(0, 1)).toEqual([]);
  });

  /** Where libseccomp reads a profile otherwise than we do. */
  function differences(
    profiles: readonly Seccomp[],
    calls: readonly Call[],
  ): { profile: Seccomp; call: Call }[] {
    const theirs = libseccompPrograms(profiles, "x64");
    return profiles.flatMap((profile, index) => {
      const ours = new Filter(compileSeccomp(profile, "x64").program);
      const other = new Filter(theirs[index] as Uint8Array);
      return calls
        .filter((call) => ![other.run(call), ENOSYS].includes(ours.run(call)))
        .map((call) => ({ profile, call }));
    });
  }

  function openatCalls(): Call[] {
    const random = new Random(99);
    return [...FAMILIES.x64.values()].flatMap((arch) =>
      callsOf("openat", arch).flatMap(({ nr }) =>
        EDGES.flatMap((edge) =>
          [0, 1, 2, 3].map((index) => ({
            arch: arch.audit,
            nr,
            args: Array.from({ length: 6 }, (_, at) => (at === index ? edge : random.pick(EDGES))),
          })),
        ),
      ),
    );
  }

  testIf(libseccomp, "reads random profiles as we do, or misses a rule that matches", () => {
    const random = new Random(2024);
    // Names that all three architectures have: with others, 2.5.4 forgets to load the call's number.
    const names = ["read", "clone", "socket", "ptrace", "shmat", "openat"];
    const profiles = Array.from({ length: 400 }, () => ({
      ...simpler(randomProfile(random, 1 + random.below(6), names), random),
      architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] as const,
    }));
    const calls = openatCalls();
    const found = differences(profiles, calls);
    // Where it differs, its filter falls to the default although a rule matches when read by itself.
    const ours = found.filter(({ profile, call }) => {
      const value = new Filter(compileSeccomp(profile, "x64").program).run(call);
      return value !== ENOSYS && value !== evaluate(profile, call, "x64");
    });
    expect(ours.slice(0, 1)).toEqual([]);
    expect(found.length).toBeLessThan((profiles.length * calls.length) / 200);
  });

  /** libseccomp takes hours for rules with several inequalities; those have one condition. */
  function simpler(profile: Seccomp, random: Random): Seccomp {
    const equalities: Operator[] = ["SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ"];
    const isSingle = random.below(2) === 0;
    const syscalls = (profile.syscalls ?? []).map(({ args = [], ...rest }) => ({
      ...rest,
      args: isSingle
        ? args.slice(0, 1)
        : args.map((argument) => ({ ...argument, op: random.pick(equalities) })),
    }));
    return { ...profile, syscalls };
  }

  testIf(libseccomp, "puts rules with different actions into the same order", () => {
    const random = new Random(7);
    const pick = () => random.pick(["SCMP_ACT_ALLOW", "SCMP_ACT_TRAP", "SCMP_ACT_LOG"] as const);
    const profiles = Array.from(
      { length: 400 },
      (): Seccomp => ({
        defaultAction: "SCMP_ACT_KILL_PROCESS",
        architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        syscalls: Array.from({ length: 1 + random.below(5) }, () => ({
          names: ["openat"],
          action: pick(),
          args: [
            {
              ...randomArgument(random, random.below(3)),
              op: random.pick(["SCMP_CMP_EQ", "SCMP_CMP_GT", "SCMP_CMP_GE"] as const),
            },
          ],
        })),
      }),
    );
    const theirs = libseccompPrograms(profiles, "x64");
    const calls = openatCalls();
    let [compared, different, refused] = [0, 0, 0];
    for (const [index, profile] of profiles.entries()) {
      const other = theirs[index] as Uint8Array | number;
      let compiled: Uint8Array | undefined;
      try {
        compiled = compileSeccomp(profile, "x64").program;
      } catch {
        // What contradicts itself is refused by both.
        expect(other).toBe(17);
        refused++;
        continue;
      }
      if (typeof other === "number") continue; // it also refuses some that are clear
      const [a, b] = [new Filter(compiled), new Filter(other)];
      for (const call of calls) {
        compared++;
        if (a.run(call) !== b.run(call)) different++;
      }
    }
    expect(refused).toBeGreaterThan(0);
    expect(compared).toBeGreaterThan(50_000);
    expect(different).toBeLessThan(compared / 1000);
  });
});

describe("the kernel", () => {
  testIf(
    [root(), program("gcc")],
    "does with every system call what the program says",
    () => {
      // Errnos that no call has by itself tell who refused.
      const standard = docker(process.arch === "arm64" ? "arm64" : "amd64");
      const profile: Seccomp = {
        ...standard,
        defaultErrnoRet: 4000,
        syscalls: (standard.syscalls ?? []).map((rule) =>
          rule.errnoRet === undefined ? rule : { ...rule, errnoRet: 4001 },
        ),
      };
      const { program } = compileSeccomp(profile);
      const filter = new Filter(program);
      const ways = [...FAMILIES[process.arch === "arm64" ? "arm64" : "x64"].values()];
      const [own, i386, x32] = ways;
      const counts = { refused: 0, passed: 0 };
      for (const [way, number, errno] of probe(program)) {
        const arch = way === "s" ? own : way === "i" ? i386 : x32;
        if (arch === undefined || (way !== "i" && PROBES.includes(number))) continue;
        const nr = number | arch.bit;
        const bits = arch.width === 64 || way === "x" ? 64 : 32;
        const args = Array(6).fill(BigInt.asUintN(bits, -1n));
        const value = filter.run({ arch: arch.audit, nr, args });
        const where = `${way} ${number}`;
        if (value >>> 16 === 5) {
          expect([where, errno]).toEqual([where, value & 0xffff]);
          counts.refused++;
        } else {
          expect([where, value]).toEqual([where, 0x7fff0000]);
          expect([where, errno === 4000 || errno === 4001]).toEqual([where, false]);
          counts.passed++;
        }
      }
      expect(counts.refused).toBeGreaterThan(100);
      expect(counts.passed).toBeGreaterThan(300);
    },
    120_000,
  );

  function probe(filter: Uint8Array): [string, number, number][] {
    const folder = mkdtempSync(join(tmpdir(), "mydocker-probe-"));
    try {
      const [binary, file] = [join(folder, "probe"), join(folder, "filter")];
      writeFileSync(file, filter);
      const source = join(import.meta.dir, "../fixtures/seccomp_probe.c");
      const made = Bun.spawnSync(["gcc", "-O1", "-w", "-o", binary, source]);
      expect(made.stderr.toString()).toBe("");
      // Its own namespaces: kill(-1, …) and the like stay inside.
      const { stdout } = Bun.spawnSync(["unshare", "-fpmiun", "--mount-proc", binary, file]);
      return stdout
        .toString()
        .trim()
        .split("\n")
        .map((line) => line.split(" "))
        .map(([way, number, errno]) => [way as string, Number(number), Number(errno)]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  const load = (name: string) => () => {
    const fixture = join(import.meta.dir, "../fixtures/seccomp_load.ts");
    const { exitCode, stderr } = Bun.spawnSync([process.execPath, fixture, name]);
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  };
  testIf([root()], "refuses a call with the profile's errno", load("errno"));
  testIf([root()], "gives a listener, with TSYNC too", load("listener"));
  testIf(
    [root()],
    "wants no_new_privs of others than root, and the error says so",
    load("unprivileged"),
  );
  testIf(
    [root()],
    "takes a filter from anybody with no_new_privs",
    load("unprivilegedWithNoNewPrivileges"),
  );
  testIf([root()], "may lack a flag that nobody asked for", load("optional"));
});

describe("notifications", () => {
  const fixtures = join(import.meta.dir, "../fixtures");
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "mydocker-notify-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** A container with a filter that asks about `names`, and an agent that answers. */
  async function ask(
    options: { names: readonly string[]; noNewPrivileges: boolean },
    script: string,
    withAgent = true,
  ) {
    const [root, attachAt] = [join(folder, "root"), join(folder, "attach")];
    for (const path of [`${root}/bin`, `${root}/proc`, attachAt])
      mkdirSync(path, { recursive: true });
    copyFileSync("/bin/busybox", `${root}/bin/busybox`);
    const [agent, socket] = [join(folder, "agent"), join(folder, "socket")];
    const source = join(fixtures, "seccomp_agent.c");
    Bun.spawnSync(["gcc", "-O1", "-w", "-o", agent, source]);
    rmSync(socket, { force: true });
    const running = withAgent ? Bun.spawn([agent, socket], { stdout: "pipe" }) : undefined;
    if (running !== undefined) await waitFor("the agent", () => existsSync(socket), 5000);
    const command = ["busybox", "sh", "-c", script];
    const { stdout, stderr } = Bun.spawnSync(
      [
        process.execPath,
        join(fixtures, "seccomp_notify.ts"),
        root,
        attachAt,
        socket,
        JSON.stringify(options),
        ...command,
      ],
      { timeout: 20_000 },
    );
    const isStuck = setTimeout(() => running?.kill("SIGKILL"), 2000); // its filter is still there
    const said = running === undefined ? "" : await new Response(running.stdout).text();
    clearTimeout(isStuck);
    const [pid, code] = stdout.toString().trim().split("\n").slice(-2);
    return {
      pid,
      code,
      out: stdout.toString(),
      err: stderr.toString(),
      agent: said.trim().split("\n"),
    };
  }

  const needs = [
    root(),
    program("gcc"),
    existsSync("/bin/busybox") ? undefined : "busybox-static is not installed",
  ];

  testIf(
    needs,
    "go to the socket of the profile, with the process's state, and are answered",
    async () => {
      for (const noNewPrivileges of [false, true]) {
        const names = ["mkdir", "mkdirat"];
        const { pid, err, agent } = await ask({ names, noNewPrivileges }, "busybox mkdir /bin/x");
        expect(err).toContain("Directory not empty");
        const [ready, state, ...asked] = agent;
        expect(ready).toBe("ready");
        expect(JSON.parse(state ?? "")).toEqual({
          ociVersion: "1.3.0",
          fds: ["seccompFd"],
          pid: Number(pid),
          metadata: "what the agent knows",
          state: {
            ociVersion: "1.3.0",
            id: "asked",
            status: "creating",
            pid: Number(pid),
            bundle: "/bundle",
            annotations: { color: "blue" },
          },
        });
        expect(asked).toHaveLength(1);
      }
    },
  );

  // Seen to hang when init sends the listener by sendmsg(2).
  testIf(
    needs,
    "for the calls by which init speaks are answered too: the agent has the listener first",
    async () => {
      const names = ["sendmsg", "recvmsg", "close", "execve", "capset"];
      for (const noNewPrivileges of [false, true]) {
        const { code, err, agent } = await ask({ names, noNewPrivileges }, "true");
        expect({ code, err }).toEqual({ code: "0", err: "" });
        expect(agent.length).toBeGreaterThan(4);
      }
    },
  );

  testIf(needs, "that nobody listens for fail the start, and leave no process", async () => {
    const { out, err } = await ask({ names: ["mkdir"], noNewPrivileges: false }, "true", false);
    expect(out).toBe("");
    expect(err).toContain("the seccomp listener cannot be handed over to ");
    expect(err).toContain("no such file or directory");
  });
});
