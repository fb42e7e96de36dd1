import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseCommandLine } from "./argv.ts";
import { composeRunOptions } from "./run_options.ts";
import { composeResources, type LimitValues } from "./run_resources.ts";
import { LATER_RUN_OPTIONS, RUN_OPTIONS } from "./run_table.ts";

const compose = (...args: string[]) =>
  composeRunOptions(
    parseCommandLine(RUN_OPTIONS, args, { stopAtPositional: true, later: LATER_RUN_OPTIONS }),
  );

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mydocker-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test("nothing asked for is Docker's default", () => {
  expect(compose()).toEqual({
    args: [],
    remove: false,
    interactive: false,
    tty: false,
    init: false,
    privileged: false,
    readonlyRoot: false,
    noNewPrivileges: false,
    groupAdd: [],
    env: [],
    labels: {},
    mounts: [],
    devices: [],
    deviceRules: [],
    network: "bridge",
    pid: "private",
    ipc: "private",
    uts: "private",
    capAdd: [],
    capDrop: [],
    ulimits: [],
    sysctls: {},
    resources: {},
    sigProxy: true,
    attach: ["stdout", "stderr"],
  });
});

test("a text that is empty is as good as not given, as in Docker", () => {
  const texts = "cidfile cpuset-cpus cpuset-mems domainname hostname name stop-signal workdir";
  const args = texts.split(" ").map((name) => `--${name}=`);
  expect(compose(...args)).toEqual(compose());
  expect(compose("--name", "box", "--name", "")).toEqual(compose());
  expect(() => compose("--memory=")).toThrow("invalid size: ''");
});

test("the image and its command are the positionals, options behind them the command's", () => {
  expect(compose("-it", "alpine", "sh", "-c", "-t")).toMatchObject({
    image: "alpine",
    args: ["sh", "-c", "-t"],
    interactive: true,
    tty: true,
  });
});

test("with --rootfs every positional is the command's", () => {
  const options = compose("--rootfs", "/x/", "sh", "-c");
  expect(options).toMatchObject({ rootfs: "/x", args: ["sh", "-c"] });
  expect(options.image).toBeUndefined();
});

test("the seed's spellings are the limits", () => {
  expect(compose("-mem", "64m", "-cpu", "0.5", "-cpuset", "0").resources).toEqual({
    memory: 67108864,
    cpus: 0.5,
    cpusetCpus: "0",
  });
});

test("every option of the table that takes a word arrives", () => {
  expect(
    compose(
      ...["--name", "web", "-h", "box", "--domainname", "example.org", "-w", "/srv"],
      ...["-u", "1:2", "--entrypoint", "", "--shm-size", "1m", "--oom-score-adj", "-5"],
      ...["--stop-signal", "INT", "--group-add", "7", "--cap-add", "all", "--cap-drop", "chown"],
      ...["--sysctl", "net.a=1", "--ulimit", "core=0", "--security-opt", "no-new-privileges"],
      ...["--network", "host", "--pid", "host", "--ipc", "host", "--init", "--rm", "--read-only"],
    ),
  ).toMatchObject({
    name: "web",
    hostname: "box",
    domainname: "example.org",
    workdir: "/srv",
    user: "1:2",
    entrypoint: "",
    shmSize: 1048576,
    oomScoreAdj: -5,
    stopSignal: 2,
    groupAdd: ["7"],
    capAdd: ["ALL"],
    capDrop: ["CAP_CHOWN"],
    sysctls: { "net.a": "1" },
    ulimits: [{ name: "RLIMIT_CORE", soft: 0, hard: 0 }],
    noNewPrivileges: true,
    network: "host",
    pid: "host",
    ipc: "host",
    init: true,
    remove: true,
    readonlyRoot: true,
  });
});

describe("environment", () => {
  test("files come first, then -e; what is set here is passed on by name", () => {
    process.env["MYDOCKER_TEST_UNSET"] = "set by JavaScript, not in the process's environment";
    const env = file("env", Uint8Array.from([...Buffer.from("A=1\nPATH\nMISSING_1\nB="), 0xff]));
    expect(compose("--env-file", env, "-e", "A=2", "-e", "PATH", "-e", "MISSING_2").env).toEqual([
      "A=1",
      `PATH=${process.env["PATH"]}`,
      "B=\udcff",
      "A=2",
      `PATH=${process.env["PATH"]}`,
      "MISSING_2",
    ]);
  });

  test("a file that is missing or wrong is named", () => {
    expect(() => compose("--env-file", "/nonexistent/env")).toThrow(
      "open /nonexistent/env: no such file or directory",
    );
    const env = file("bad", "A=1\nB C=1\n");
    expect(() => compose("--env-file", env)).toThrow(`${env}:2: variable 'B C'`);
  });
});

test("labels come from files, then from -l", () => {
  const labels = file("labels", "a=1\nb\n");
  expect(compose("--label-file", labels, "-l", "a=2", "-l", "__proto__=x").labels).toEqual(
    Object.fromEntries([
      ["a", "2"],
      ["b", ""],
      ["__proto__", "x"],
    ]),
  );
});

test("of one ulimit the last counts", () => {
  expect(compose("--ulimit", "core=0", "--ulimit", "core=1").ulimits).toMatchObject([{ soft: 1 }]);
});

test.each<[string[], string]>([
  [["-v", "/a:/x", "--tmpfs", "/x"], "Duplicate mount point: /x"],
  [["--cpus", "1", "--cpu-quota", "5000"], "Conflicting options: --cpus and --cpu-quota"],
  [["--uts", "host", "-h", "x"], "conflicting options: hostname and the UTS mode"],
  [["--oom-score-adj", "1001"], "Invalid value 1001, range for oom score adj is [-1000, 1000]"],
  [["--cidfile", "/etc/passwd"], "container ID file found"],
  [["--log-driver", "syslog", "alpine"], "logger: no log driver named 'syslog' is registered"],
  [["--log-opt", "tag={{x", "alpine"], "invalid log opt tag"],
  [["--log-opt", "syslog-x=1", "alpine"], "unknown log opt 'syslog-x' for json-file log driver"],
  [["--log-opt", "max-size=x", "alpine"], "invalid log opt max-size: invalid size: 'x'"],
  [["--log-opt", "max-file=0", "alpine"], "max-file cannot be less than 1"],
  [["-p", "80:80:80:80", "alpine"], "80:80:80:80"],
  [["-m", "abc"], `invalid argument "abc" for "-m, --memory" flag: invalid size: 'abc'`],
])("%j is refused", (args, message) => {
  expect(() => compose(...args)).toThrow(message);
});

describe("limits against each other", () => {
  const MB = 2 ** 20;
  const none: LimitValues = {
    memory: undefined,
    "memory-swap": undefined,
    "memory-reservation": undefined,
    cpus: undefined,
    "cpu-shares": undefined,
    "cpu-quota": undefined,
    "cpu-period": undefined,
    "cpuset-cpus": undefined,
    "cpuset-mems": undefined,
    "pids-limit": undefined,
    "cpu-rt-period": undefined,
    "cpu-rt-runtime": undefined,
    "kernel-memory": undefined,
  };
  const limits = (given: Partial<LimitValues>) => composeResources({ ...none, ...given }, 4);

  test("zero is no limit", () => {
    expect(limits({ memory: 0, cpus: 0, "pids-limit": 0, "memory-swap": 0 })).toEqual({});
  });

  test("-1 is kept where it means something", () => {
    expect(
      limits({ memory: 64 * MB, "memory-swap": -1, "pids-limit": -1, "cpu-quota": -1 }),
    ).toEqual({ memory: 64 * MB, memorySwap: -1, pidsLimit: -1, cpuQuota: -1 });
  });

  test.each<[Partial<LimitValues>, string]>([
    [{ memory: 6 * MB - 1 }, "Minimum memory limit allowed is 6MB"],
    [
      { "memory-swap": 64 * MB },
      "You should always set the Memory limit when using Memoryswap limit",
    ],
    [
      { memory: 64 * MB, "memory-swap": 32 * MB },
      "Minimum memoryswap limit should be larger than memory limit",
    ],
    [{ "memory-reservation": MB }, "Minimum memory reservation allowed is 6MB"],
    [
      { memory: 8 * MB, "memory-reservation": 9 * MB },
      "Minimum memory limit can not be less than memory reservation limit",
    ],
    [{ cpus: 0.001 }, "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"],
    [{ cpus: 4.5 }, "Range of CPUs is from 0.01 to 4.00"],
    [{ "cpu-shares": -1 }, "invalid CPU shares (-1)"],
    [{ "cpu-period": 999 }, "CPU cfs period can not be less than 1ms"],
    [{ "cpu-period": 1_000_001 }, "CPU cfs period can not be less than 1ms"],
    [{ "cpu-quota": 999 }, "CPU cfs quota can not be less than 1ms"],
    [{ "pids-limit": -2 }, "invalid pids limit: -2"],
  ])("%j is refused", (given, message) => {
    expect(() => limits(given)).toThrow(message);
  });
});
