/** Who the command is, what it may do, its environment, working directory and limits. */

import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { parseStatus } from "../helpers/container_facts.ts";
import { testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

async function output(...args: string[]): Promise<string> {
  const { out, err, exitCode } = await engine.run(args);
  expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
  return out;
}

const status = async (...options: string[]) =>
  parseStatus(await output(...options, "busybox", "cat", "/proc/self/status"));

/** The five capability sets, in the order of the file. */
async function capabilities(...options: string[]): Promise<string[]> {
  const fields = await status(...options);
  return ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map((name) =>
    (fields[name] as string).replace(/^0+(?=.)/, ""),
  );
}

const DEFAULT = "a80425fb";
const host = parseStatus(readFileSync("/proc/self/status", "utf8"));

describe("capabilities", () => {
  test("are Docker's fourteen", async () => {
    expect(await capabilities()).toEqual(["0", DEFAULT, DEFAULT, DEFAULT, "0"]);
  });

  test("of another user are none, but may be regained within the bounds", async () => {
    expect(await capabilities("-u", "nobody")).toEqual(["0", "0", "0", DEFAULT, "0"]);
    expect(await capabilities("-u", "1234:1234")).toEqual(["0", "0", "0", DEFAULT, "0"]);
  });

  test("are added and dropped by name, with and without CAP_, in any case", async () => {
    const withNetAdmin = (0xa80425fb | (1 << 12)) >>> 0;
    for (const name of ["NET_ADMIN", "CAP_NET_ADMIN", "net_admin"]) {
      expect((await capabilities("--cap-add", name))[2]).toBe(withNetAdmin.toString(16));
    }
    const withoutChown = (0xa80425fb & ~1) >>> 0;
    expect(await capabilities("--cap-drop", "CHOWN")).toEqual([
      "0",
      ...Array(3).fill(withoutChown.toString(16)),
      "0",
    ]);
    expect(await capabilities("--cap-drop", "ALL")).toEqual(["0", "0", "0", "0", "0"]);
    expect((await capabilities("--cap-drop", "ALL", "--cap-add", "KILL"))[3]).toBe("20");
  });

  testIf(
    [host["CapBnd"] === undefined ? "no CapBnd" : undefined],
    "are all that the host has with --privileged, or --cap-add ALL",
    async () => {
      const all = (host["CapBnd"] as string).replace(/^0+(?=.)/, "");
      expect(await capabilities("--privileged")).toEqual(["0", all, all, all, "0"]);
      expect((await capabilities("--cap-add", "ALL"))[3]).toBe(all);
    },
  );

  test("that do not exist are refused", async () => {
    const { exitCode, err } = await engine.run(["--cap-add", "FLY", "busybox", "true"]);
    expect(exitCode).toBe(125);
    expect(err).toContain("FLY");
  });

  test("are enforced", async () => {
    expect(
      (await engine.run(["--cap-drop", "CHOWN", "busybox", "chown", "1", "/tmp"])).exitCode,
    ).toBe(1);
    expect((await engine.run(["busybox", "chown", "1", "/tmp"])).exitCode).toBe(0);
    expect((await engine.run(["busybox", "hostname", "other"])).exitCode).toBe(1);
    expect(
      (await engine.run(["--cap-add", "SYS_ADMIN", "busybox", "hostname", "other"])).exitCode,
    ).toBe(0);
  });
});

test("no_new_privs is set by option only", async () => {
  expect((await status())["NoNewPrivs"]).toBe("0");
  expect((await status("--security-opt", "no-new-privileges"))["NoNewPrivs"]).toBe("1");
});

describe("signals, limits and scores", () => {
  test("are none blocked, none ignored", async () => {
    const fields = await status();
    expect([fields["SigBlk"], fields["SigIgn"]]).toEqual(["0000000000000000", "0000000000000000"]);
  });

  test("--ulimit sets soft and hard", async () => {
    expect(
      await output(
        "--ulimit",
        "nofile=64:128",
        "--ulimit",
        "core=0",
        "busybox",
        "sh",
        "-c",
        "ulimit -Sn; ulimit -Hn; ulimit -c",
      ),
    ).toBe("64\n128\n0");
    expect(
      await output("--ulimit", "nofile=99", "busybox", "sh", "-c", "ulimit -Sn; ulimit -Hn"),
    ).toBe("99\n99");
    const { exitCode, err } = await engine.run(["--ulimit", "nofile=128:64", "busybox", "true"]);
    expect(exitCode).toBe(125);
    expect(err).toContain("nofile");
    expect((await engine.run(["--ulimit", "nosuch=1", "busybox", "true"])).exitCode).toBe(125);
  });

  test("--oom-score-adj is the command's", async () => {
    expect(
      await output("--oom-score-adj", "500", "busybox", "cat", "/proc/self/oom_score_adj"),
    ).toBe("500");
  });

  test("the umask is 022", async () => {
    expect(await output("busybox", "sh", "-c", "umask; umask 0; umask")).toBe("0022\n0000");
  });
});

describe("-u", () => {
  /** A root file system with users and groups of its own. */
  const rootfs = engine.directory("users");
  const inRootfs = (...args: string[]) => output("--rootfs", rootfs, ...args);

  test("takes names and numbers, and the group from passwd", async () => {
    const id = (user: string) =>
      output("-u", user, "busybox", "sh", "-c", "echo $(id -u):$(id -g):$(id -G)");
    expect(await id("nobody")).toBe("65534:65534:65534");
    expect(await id("daemon")).toBe("1:1:1");
    expect(await id("1")).toBe("1:1:1");
    expect(await id("4242")).toBe("4242:0:0");
    expect(await id("4242:77")).toBe("4242:77:77");
    expect(await id("daemon:users")).toBe("1:100:100");
    expect(await id("0:mail")).toBe("0:8:8");
  });

  test("sets HOME from passwd, and / for a number that is not there", async () => {
    const home = (user: string) => output("-u", user, "busybox", "sh", "-c", "echo $HOME");
    expect(await home("root")).toBe("/root");
    expect(await home("www-data")).toBe("/var/www");
    expect(await home("4242")).toBe("/");
    expect(
      await output("-u", "nobody", "-e", "HOME=/mine", "busybox", "sh", "-c", "echo $HOME"),
    ).toBe("/mine");
  });

  test("that is not there is an error", async () => {
    for (const user of ["nosuch", "root:nosuch"]) {
      const { exitCode, err } = await engine.run(["-u", user, "busybox", "true"]);
      expect(exitCode).toBe(125);
      expect(err).toContain("nosuch");
    }
    for (const user of ["-5", "4294967296", "root:99999999999"]) {
      expect((await engine.run([`--user=${user}`, "busybox", "true"])).exitCode).toBe(125);
    }
  });

  test("gives the supplementary groups of the image's own group file, not the host's", async () => {
    await engine.bash(`"$MYDOCKER" run --rm -v '${rootfs}:/out' busybox cp -a /bin /etc /out`);
    writeFileSync(
      join(rootfs, "etc/passwd"),
      "root:x:0:0::/root:/bin/sh\nworker:x:1000:1001:Work:/work:/bin/sh\nbroken\n",
    );
    writeFileSync(
      join(rootfs, "etc/group"),
      "root:x:0:\nworkers:x:1001:\nextra:x:2000:someone,worker\nmore:x:2001:worker\nother:x:2002:workers\nbad:x:x:worker\n",
    );
    const script = "echo $(id -u):$(id -g):$(id -G):$HOME";
    expect(await inRootfs("-u", "worker", "sh", "-c", script)).toBe(
      "1000:1001:1001 2000 2001:/work",
    );
    expect(await inRootfs("-u", "1000", "sh", "-c", script)).toBe("1000:1001:1001 2000 2001:/work");
    expect(await inRootfs("-u", "worker:extra", "sh", "-c", script)).toBe("1000:2000:2000:/work");
    expect(
      await inRootfs(
        "-u",
        "worker:extra",
        "--group-add",
        "more",
        "--group-add",
        "3000",
        "sh",
        "-c",
        script,
      ),
    ).toBe("1000:2000:2000 2001 3000:/work");
  });

  test("does not follow a passwd file out of the image", async () => {
    await engine.bash(
      `rm '${rootfs}/etc/passwd'; ln -s /etc/shells '${rootfs}/etc/passwd'; echo 'spy:x:777:777::/:/bin/sh' >'${rootfs}/etc/shells'`,
    );
    expect(await inRootfs("-u", "spy", "sh", "-c", "id -u")).toBe("777");
  });

  test("keeps other users from root's files", async () => {
    const { exitCode, err } = await engine.run(["-u", "nobody", "busybox", "cat", "/etc/shadow"]);
    expect(exitCode).toBe(1);
    expect(err).toContain("Permission denied");
  });
});

describe("the environment", () => {
  const variables = async (...options: string[]) =>
    (await output(...options, "busybox", "env")).split("\n").sort();

  test("is the image's, HOME and HOSTNAME, and nothing of the caller's", async () => {
    const { out } = await engine.run(["-h", "box", "busybox", "env"], {
      env: { SECRET: "1", LD_PRELOAD: "", BUN_OPTIONS: "" },
    });
    expect(out.split("\n").sort()).toEqual([
      "HOME=/root",
      "HOSTNAME=box",
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]);
  });

  test("takes -e NAME=value, and NAME from the caller", async () => {
    const { out } = await engine.run(
      [
        "-e",
        "A=1",
        "-e",
        "EMPTY=",
        "-e",
        "PASSED",
        "-e",
        "ABSENT",
        "-e",
        "EQ=a=b",
        "busybox",
        "env",
      ],
      { env: { PASSED: "on" } },
    );
    expect(out.split("\n")).toEqual(
      expect.arrayContaining(["A=1", "EMPTY=", "PASSED=on", "EQ=a=b"]),
    );
    expect(out).not.toContain("ABSENT");
  });

  test("lets later ones win, and -e over --env-file", async () => {
    const file = join(engine.directory("env"), "vars");
    writeFileSync(file, "# comment\nA=file\nB=two words \n\n  C='quoted'\nPASSED\n");
    const vars = await variables("-e", "A=first", "-e", "A=second", "--env-file", file);
    expect(vars).toEqual(expect.arrayContaining(["A=second", "B=two words ", "C='quoted'"]));
    expect(vars.filter((line) => line.startsWith("A="))).toHaveLength(1);
    expect(vars.some((line) => line.startsWith("PASSED"))).toBe(false);
    const { exitCode, err } = await engine.run(["--env-file", "/no/such", "busybox", "true"]);
    expect(exitCode).toBe(125);
    expect(err).toContain("/no/such");
  });

  test("may change PATH, where the command is then looked for", async () => {
    expect((await engine.run(["-e", "PATH=/nowhere", "busybox", "env"])).exitCode).toBe(127);
    expect(
      (await engine.run(["-e", "PATH=/nowhere:/bin", "busybox", "sh", "-c", "echo $PATH"])).out,
    ).toBe("/nowhere:/bin");
  });
});

describe("-w", () => {
  test("is the working directory, made when missing", async () => {
    expect(await output("busybox", "pwd")).toBe("/");
    expect(await output("-w", "/etc", "busybox", "sh", "-c", "pwd; ls passwd")).toBe(
      "/etc\npasswd",
    );
    expect(await output("-w", "/new/deep dir", "busybox", "sh", "-c", "pwd; stat -c %u:%a .")).toBe(
      "/new/deep dir\n0:755",
    );
  });

  test("that is relative, or a file, is an error", async () => {
    expect((await engine.run(["-w", "etc", "busybox", "true"])).exitCode).toBe(125);
    const { exitCode, err } = await engine.run(["-w", "/etc/passwd", "busybox", "true"]);
    expect([125, 126, 127]).toContain(exitCode as number);
    expect(err).toContain("/etc/passwd");
    expect(err).toContain("not a directory");
  });

  test("is never a descriptor of ours", async () => {
    for (let fd = 3; fd < 24; fd++) {
      const { out, exitCode } = await engine.run([
        "-w",
        `/proc/self/fd/${fd}`,
        "busybox",
        "sh",
        "-c",
        "ls ../../../../../../etc/debian_version; pwd",
      ]);
      if (exitCode === 0) expect(out).not.toContain("debian_version");
      else expect(out).toBe("");
    }
  });
});

describe("--init", () => {
  test("is pid 1, runs the command and gives its exit code back", async () => {
    const { out, exitCode } = await engine.run([
      "--init",
      "busybox",
      "sh",
      "-c",
      "echo $$; exit 9",
    ]);
    expect(Number(out)).toBeGreaterThan(1);
    expect(exitCode).toBe(9);
    expect((await engine.run(["--init", "busybox", "sh", "-c", "kill -SEGV $$"])).exitCode).toBe(
      139,
    );
    expect((await engine.run(["--init", "busybox", "no-such"])).exitCode).toBe(127);
  });

  test("reaps orphans", async () => {
    const script =
      "for i in 1 2 3; do (sleep 0.05 &) ; done; sleep 0.4; grep -l 'State:.Z' /proc/[0-9]*/status; echo end";
    expect((await engine.run(["--init", "busybox", "sh", "-c", script])).out).toBe("end");
  });

  test("forwards signals", async () => {
    const running = engine.start(["run", "--rm", "--init", "busybox", "sleep", "1000"]);
    await waitFor(
      "sleep",
      () =>
        Bun.spawnSync(["sh", "-c", `cat /proc/${running.pid}/task/*/children`]).stdout.length > 0,
    );
    await Bun.sleep(100);
    running.kill("SIGTERM");
    expect((await running.end()).exitCode).toBe(143);
  });

  test("cannot be written to from inside", async () => {
    const { err, exitCode } = await engine.run([
      "--init",
      "busybox",
      "sh",
      "-c",
      "echo x >/proc/1/exe",
    ]);
    expect(exitCode).not.toBe(0);
    expect(err).toMatch(/Permission denied|Text file busy|Read-only/);
  });
});

leavesNothingBehind(engine);
