/**
 * Bug classes of container runtimes, from outside: each test was seen to fail with its defence off, which
 * is named beside it. Attacks on the runtime's executable and memory: security_runtime.test.ts.
 */

import { describe, expect, test } from "bun:test";
import { lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { parseStatus } from "../helpers/container_facts.ts";
import { compileFixture, install } from "../helpers/fixture.ts";
import { type Config, OciRuntime } from "../helpers/oci_runtime.ts";
import { program, testIf } from "../helpers/requires.ts";
import { spawnOnTerminal } from "../helpers/terminal.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();
const oci = new OciRuntime(engine);

/** The runtime called by a shell with this before it. */
const after = (prelude: string, ...args: string[]) =>
  engine.bash(`${prelude}; exec "$@"`, { args: [oci.runtime, "--root", oci.root, ...args] });

/** Opens a directory of the host as descriptors 3 to 20. */
function openDescriptors(): string {
  const folder = engine.directory("host");
  writeFileSync(join(folder, "canary"), "");
  const opened = Array.from({ length: 18 }, (_, index) => `exec ${index + 3}<'${folder}'`);
  return opened.join("; ");
}

describe("a descriptor as working directory, of the caller's or of ours (CVE-2024-21626)", () => {
  const numbers = Array.from({ length: 61 }, (_, index) => index + 3);
  const links = (bundle: string) => {
    for (const fd of numbers)
      symlinkSync(`/proc/self/fd/${fd}`, join(bundle, "rootfs", `link${fd}`));
  };
  const places = numbers.flatMap((fd) => [
    `/proc/self/fd/${fd}`,
    ...(fd % 4 === 0 ? [`/link${fd}`, `/proc/1/fd/${fd}`] : []),
  ]);

  // Seen to fail with the joining process in the container's pid namespace (mayHide false), so that it has
  // a /proc/self there, without closeFrom in takeDescriptors and without the check of getcwd.
  test("is none for exec", async () => {
    const bundle = oci.bundle(["sleep", "100"]);
    links(bundle);
    await oci.start("cwd", bundle);
    for (const cwd of places) {
      const call = ["exec", "--cwd", cwd, "cwd", "sh", "-c", "pwd; ls; ls ../../.."];
      const { out, exitCode } = await after(openDescriptors(), ...call);
      expect({ cwd, out, exitCode }).toEqual({ cwd, out: "", exitCode: 255 });
    }
    await oci.remove("cwd");
  }, 60_000);

  // Seen to fail without makeWorkingDirectory, which follows no such link, and without closeFrom: then a
  // descriptor of the container's own root is one. The check of getcwd still refuses the host's.
  test("is none for run", async () => {
    const bundle = oci.bundle(["sh", "-c", "pwd; ls; ls ../../.."]);
    links(bundle);
    const file = join(bundle, "config.json");
    const config: Config = JSON.parse(readFileSync(file, "utf8"));
    for (const cwd of places) {
      config.process.cwd = cwd;
      writeFileSync(file, JSON.stringify(config));
      const { out, exitCode } = await after(openDescriptors(), "run", "--bundle", bundle, "cwd");
      expect({ cwd, out, exitCode }).toEqual({ cwd, out: "", exitCode: 1 });
    }
  }, 60_000);
});

describe("descriptors of the caller's", () => {
  const list = "for fd in /proc/self/fd/*; do readlink $fd; done; echo end";
  const isOfHost = (text: string) => text.includes(engine.directory("host"));

  // Seen to fail with closeFrom in takeDescriptors replaced by its opposite: Bun makes those from 4 up
  // close-on-exec when it starts.
  test("pass on to no process", async () => {
    const bundle = oci.bundle(["sh", "-c", `${list}; sleep 100`]);
    const started = `${oci.runtime} --root ${oci.root} run -d --bundle ${bundle} open`;
    await engine.bash(`${openDescriptors()}; ${started} >${bundle}/output 2>&1 </dev/null`);
    const output = () => readFileSync(join(bundle, "output"), "utf8");
    await waitFor("the list", () => output().includes("end"));
    expect(output().trim().split("\n")).toHaveLength(4);
    const { out } = await after(openDescriptors(), "exec", "open", "sh", "-c", list);
    expect(out.split("\n")).toHaveLength(4);
    expect(isOfHost(output() + out)).toBe(false);
    await oci.remove("open");
  });

  // Seen to fail without closeOnExecFrom in spawnProgram.
  test("pass on to no hook", async () => {
    const log = join(engine.directory("hooks"), "open");
    const bundle = oci.bundle(["true"], (config) => {
      const hook = (to: string) => ({
        path: "/bin/sh",
        args: ["sh", "-c", `ls -l /proc/self/fd >>${to}`],
        env: ["PATH=/bin:/usr/bin"],
      });
      const places = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
      config.hooks = Object.fromEntries(places.map((place) => [place, [hook(log)]]));
      config.hooks.startContainer = [hook("/log")];
    });
    await after(openDescriptors(), "run", "--bundle", bundle, "hooks");
    const inside = readFileSync(join(bundle, "rootfs/log"), "utf8");
    const all = readFileSync(log, "utf8") + inside;
    expect(all.match(/ 0 -> /g)).toHaveLength(6);
    expect(isOfHost(all)).toBe(false);
    expect(all.match(/ [4-9] -> .*/g) ?? []).toEqual([]); // 3 is what ls reads
  });
});

describe("capabilities (CVE-2022-29162)", () => {
  const lines = "grep ^Cap /proc/self/status";
  const names = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"];
  const bits = "0000000000002021";
  const none = "0".repeat(16);
  const change = (config: Config) => {
    config.process.capabilities = { bounding: names, effective: names, permitted: names };
    config.process.noNewPrivileges = false;
  };
  const sets = (text: string) =>
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map((name) => parseStatus(text)[name]);

  // Seen to fail with `inheritable` set to the permitted ones in capabilitySets, and without limitBounding.
  test("are what config.json says, in run and exec, of root and of another user", async () => {
    const root = [none, bits, bits, bits, none];
    const user = [none, none, none, bits, none];
    const asUser = (config: Config) => {
      change(config);
      config.process.user = { uid: 1000, gid: 1000 };
    };
    expect(sets((await oci.sh(lines, change)).out)).toEqual(root);
    expect(sets((await oci.sh(lines, asUser)).out)).toEqual(user);
    await oci.start("caps", oci.bundle(["sleep", "100"], change));
    const exec = async (...options: string[]) =>
      sets((await oci.call(["exec", ...options, "caps", "sh", "-c", lines])).out);
    expect(await exec()).toEqual(root);
    expect(await exec("-u", "1000")).toEqual(user);
    const more = "0000000000202021";
    expect(await exec("--cap", "CAP_SYS_ADMIN")).toEqual([none, more, more, more, none]);
    expect(await exec("--cap", "CAP_SYS_ADMIN", "-u", "1000")).toEqual([
      none,
      none,
      none,
      more,
      none,
    ]);
    await oci.remove("caps");
  });
});

describe("state", () => {
  // Seen to fail with the modes of the store's directories and of replaceFile at their defaults.
  test("is readable by nobody else, whatever the caller's umask (CVE-2021-41091)", async () => {
    const store = new OciRuntime(engine, `${oci.runtime}`);
    const root = join(engine.directory("umask"), "a/b");
    const bundle = store.bundle(["sleep", "100"]);
    const command = `"$@" </dev/null >/dev/null 2>&1`;
    const args = [oci.runtime, "--root", root, "run", "-d", "--bundle", bundle, "open"];
    expect((await engine.bash(`umask 0; ${command}`, { args })).exitCode).toBe(0);
    const modes = (path: string): string[] => {
      const { mode } = lstatSync(path);
      const own = (mode & 0o077) === 0 ? [] : [`${path} ${(mode & 0o7777).toString(8)}`];
      if ((mode & 0o170000) !== 0o040000) return own;
      return [...own, ...readdirSync(path).flatMap((name) => modes(join(path, name)))];
    };
    expect(modes(root)).toEqual([]);
    expect(readdirSync(join(root, "open"))).toContain("state.json");
    await engine.exec([oci.runtime, "--root", root, "delete", "-f", "open"], {});
  });

  // Seen to fail with checkId letting everything pass.
  test.each(["../outside", "..", "a/../../outside", "/outside"])(
    "is not found outside of its directory: %j",
    async (id) => {
      const outside = join(oci.root, "../outside");
      await engine.bash(`mkdir -p '${outside}' && echo '{}' >'${outside}/state.json'`);
      const calls = [
        ["state"],
        ["start"],
        ["kill"],
        ["delete", "-f"],
        ["ps"],
        ["pause"],
        ["resume"],
      ];
      for (const call of [...calls, ["exec"], ["update"], ["events", "--stats"]]) {
        const tail = call[0] === "exec" ? ["true"] : [];
        const { exitCode, err } = await oci.call([...call, id, ...tail]);
        expect(exitCode).not.toBe(0);
        expect(err).toContain("invalid container ID format");
      }
      expect(readdirSync(outside)).toEqual(["state.json"]);
    },
  );
});

// Seen to fail with openProcess and isAlive comparing the pid alone, and each without the boot id.
describe("a stranger with the number of a container's process", () => {
  test.each([
    ["another start time", (init: Config) => ({ ...init, startTime: init.startTime + 1 })],
    ["another boot", (init: Config) => ({ ...init, bootId: "0".repeat(36) })],
  ])("and %s is spared", async (_, change) => {
    const bundle = oci.bundle(["sleep", "100"]);
    await oci.start("forged", bundle);
    const path = join(oci.root, "forged/state.json");
    const record = JSON.parse(readFileSync(path, "utf8"));
    await oci.call(["kill", "forged", "9"]);
    await waitFor("its end", async () => (await oci.state("forged")).status === "stopped");
    await using stranger = Bun.spawn(["sleep", "1000"]);
    const stat = readFileSync(`/proc/${stranger.pid}/stat`, "utf8");
    const startTime = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
    const init = change({ ...record.init, pid: stranger.pid, startTime });
    await Bun.write(path, JSON.stringify({ ...record, init }));
    expect((await oci.state("forged")).status).toBe("stopped");
    for (const call of [
      ["kill", "forged", "9"],
      ["kill", "-a", "forged", "9"],
    ])
      await oci.call(call);
    expect((await oci.call(["exec", "forged", "true"])).err).toContain("container not running");
    expect((await oci.call(["ps", "forged"])).out).not.toContain(String(stranger.pid));
    expect((await oci.call(["pause", "forged"])).exitCode).not.toBe(0);
    expect((await oci.call(["delete", "-f", "forged"])).exitCode).toBe(0);
    expect(readFileSync(`/proc/${stranger.pid}/stat`, "utf8")).toMatch(/\) S /);
    stranger.kill();
  });
});

describe("a user namespace", () => {
  const mapped = (config: Config) => {
    config.linux.namespaces.push({ type: "user" });
    config.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
    config.linux.gidMappings = [{ containerID: 0, hostID: 200000, size: 65536 }];
    config.mounts = config.mounts.filter((mount: Config) => mount.type !== "cgroup");
  };

  // The kernel's own rule; it fails without a user namespace, where the ids would be the host's.
  test("is mapped once: its processes cannot map it again", async () => {
    const script = ["uid_map", "gid_map", "setgroups"].map(
      (file) =>
        `echo ${file === "setgroups" ? "deny" : "0 0 1"} >/proc/self/${file} && echo ${file}`,
    );
    const { out } = await oci.sh(`${script.join("\n")}\ncat /proc/self/uid_map`, mapped);
    expect(out.replace(/ +/g, " ")).toBe(" 0 100000 65536");
  });

  // Seen to fail without setgroups in setCredentials.
  testIf(
    [program("setpriv")],
    "or none: the caller's groups are gone in run and exec",
    async () => {
      const groups = "grep -E '^(Uid|Gid|Groups)' /proc/self/status | tr -s '\\t' ' '";
      const caller = (...args: string[]) =>
        engine.exec(
          ["setpriv", "--groups", "0,5,1234", oci.runtime, "--root", oci.root, ...args],
          {},
        );
      for (const [id, change] of [
        ["userns", mapped],
        ["host", () => undefined],
      ] as const) {
        const bundle = oci.bundle(["sh", "-c", groups], change);
        const first = (await caller("run", "--bundle", bundle, id)).out;
        expect(first).toBe("Uid: 0 0 0 0\nGid: 0 0 0 0\nGroups: ");
        await oci.start(id, oci.bundle(["sleep", "100"], change));
        expect((await caller("exec", id, "sh", "-c", groups)).out).toBe(first);
        const asUser = (await caller("exec", "-u", "7:8", "-g", "9", id, "sh", "-c", groups)).out;
        expect(asUser).toBe("Uid: 7 7 7 7\nGid: 8 8 8 8\nGroups: 9 ");
        await oci.remove(id);
      }
    },
  );
});

// Seen to fail without setsid in init, and without that of the trampoline.
describe("the caller's terminal, when it is passed in, takes no input from the container (TIOCSTI)", () => {
  testIf([program("gcc")], "in run and exec", async () => {
    const bundle = oci.bundle(["/tiocsti"]);
    const running = oci.bundle(["sleep", "100"]);
    for (const target of [bundle, running])
      install(compileFixture(engine, "tiocsti"), target, "tiocsti");
    await oci.start("typed", running);
    const call = `${oci.runtime} --root ${oci.root}`;
    const commands = [`${call} run --bundle ${bundle} types`, `${call} exec typed /tiocsti`];
    for (const command of commands) {
      const script = `${command}; echo "ended $?"; read -t 1 line; echo "read <$line>"`;
      const session = spawnOnTerminal(engine, ["bash", "-c", script]);
      const output = await session.waitForOutput(/read <.*>/);
      await session.end();
      expect(output).toContain("ended 0");
      expect(output.match(/\w+ (TYPED|refused)/g) ?? []).toHaveLength(5);
      expect(output).not.toContain("TYPED");
      expect(output).toContain("read <>");
    }
    await oci.remove("typed");
  });

  test("a terminal of its own is that of its session", async () => {
    await oci.start("own", oci.bundle(["sleep", "100"]));
    const script =
      "tty; tty </dev/tty; ps -o pid,sid,tty 2>/dev/null; cut -d' ' -f5-7 /proc/$$/stat";
    const call = [oci.runtime, "--root", oci.root, "exec", "-t", "own", "sh", "-c", script];
    const session = spawnOnTerminal(engine, call);
    const output = await session.waitForOutput(/\n\d+ \d+ \d+\r?\n/);
    expect((await session.end()).exitCode).toBe(0);
    const lines = output.trim().split(/\r?\n/);
    expect(lines[0]).toMatch(/^\/dev\/pts\/\d+$/);
    const [group, leader, terminal] = (lines.at(-1) ?? "").split(" ").map(Number);
    expect(group).toBe(leader as number);
    expect(terminal).not.toBe(0);
    await oci.remove("own");
  });
});

leavesNothingBehind(engine);
