/** Devices: what a container may open, whatever nodes it makes, and what `--device` adds. */

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { isUnified } from "../helpers/container_facts.ts";
import { controller, program, type Requirement, testIf } from "../helpers/requires.ts";

const engine = useEngine();
const RULES: Requirement = isUnified ? undefined : controller("devices");

const sh = (options: readonly string[], script: string) =>
  // CAP_SYSLOG: else the kernel itself might refuse /dev/kmsg, and a test could not fail.
  engine.run(["--cap-add", "SYSLOG", ...options, "busybox", "sh", "-c", script]);

/** /dev/kmsg, which every machine has, opens without effect, and is not among what a container may use. */
const KMSG = "1 11";

describe("a plain container", () => {
  testIf([RULES], "makes a node for a device of the host, and cannot open it", async () => {
    const { out, err } = await sh(
      [],
      `mknod /disk b 7 0 && mknod /log c ${KMSG} && echo made; true </disk; true </log; true >/log`,
    );
    expect(out).toContain("made");
    expect(err.split("\n")).toEqual([
      expect.stringContaining("can't open /disk: Operation not permitted"),
      expect.stringContaining("can't open /log: Operation not permitted"),
      expect.stringContaining("can't create /log: Operation not permitted"),
    ]);
  });

  test("uses the devices that it has", async () => {
    const { out, err, exitCode } = await sh(
      ["-t"],
      `for d in zero full random urandom; do head -c 1 /dev/$d | wc -c; done
       echo x >/dev/null; true </dev/tty; true </dev/console; true </dev/ptmx; tty`,
    );
    expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
    expect(out.replaceAll("\r", "").split("\n")).toEqual(["1", "1", "1", "1", "/dev/pts/0"]);
  });
});

describe("--device", () => {
  testIf([RULES], "makes the node, and lets it be used as far as it says", async () => {
    const script = `true </dev/log && echo read; true >/dev/log && echo written; stat -c '%t:%T %F' /dev/log`;
    const all = await sh(["--device", "/dev/kmsg:/dev/log"], script);
    expect(all.out).toBe("read\nwritten\n1:b character special file");
    const readOnly = await sh(["--device", "/dev/kmsg:/dev/log:r"], script);
    expect(readOnly.out).toBe("read\n1:b character special file");
    expect(readOnly.err).toContain("can't create /dev/log: Operation not permitted");
  });

  test("makes the node anywhere, also in the place of a usual one", async () => {
    const { out } = await sh(
      ["--device", "/dev/zero:/opt/a/zero", "--device", "/dev/zero:/dev/null"],
      "stat -c %t:%T /opt/a/zero /dev/null; head -c 2 /opt/a/zero | wc -c",
    );
    expect(out).toBe("1:5\n1:5\n2");
  });

  testIf([RULES, program("mknod")], "takes all devices of a directory", async () => {
    const directory = mkdtempSync(join(tmpdir(), "mydocker-devices-"));
    try {
      for (const name of ["one", "two"])
        Bun.spawnSync(["mknod", "-m", "640", join(directory, name), "c", ...KMSG.split(" ")]);
      const { out } = await sh(
        ["--device", `${directory}:/dev/many`],
        "cd /dev/many; for d in *; do true <$d && stat -c '%n %a' $d; done",
      );
      expect(out).toBe("one 640\ntwo 640");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("names what is no device", async () => {
    const missing = await engine.run(["--device", "/dev/nosuch", "busybox", "true"]);
    expect(missing.exitCode).toBe(125);
    expect(missing.err).toContain(
      'error gathering device information while adding custom device "/dev/nosuch": no such file or directory',
    );
    const file = await engine.run(["--device", "/etc/passwd", "busybox", "true"]);
    expect(file.exitCode).toBe(125);
    expect(file.err).toContain("not a device node");
  });
});

testIf([RULES], "--device-cgroup-rule lets a node that the container makes be used", async () => {
  const { out, err } = await sh(
    ["--device-cgroup-rule", "c 1:* r"],
    `mknod /log c ${KMSG}; true </log && echo read; true >/log`,
  );
  expect(out).toBe("read");
  expect(err).toContain("can't create /log: Operation not permitted");
});

test("a privileged container opens what it makes", async () => {
  const { out, err } = await sh(["--privileged"], `mknod /log c ${KMSG}; true </log && echo read`);
  expect({ out, err }).toEqual({ out: "read", err: "" });
});

describe("--cgroup-parent", () => {
  const name = `mydocker-parent-${process.pid}`;
  const inAll = () =>
    ["", ...(isUnified ? [] : readdirSync("/sys/fs/cgroup"))]
      .map((each) => join("/sys/fs/cgroup", each, name))
      .filter((path) => existsSync(path));
  afterAll(() => {
    for (const path of inAll()) {
      for (const inner of ["inner", ""])
        if (existsSync(join(path, inner))) rmdirSync(join(path, inner));
    }
  });

  for (const [given, path] of [
    [`/${name}/inner`, `/${name}/inner`],
    [name, `/${name}`],
    [`../../${name}/x/../inner/`, `/${name}/inner`],
  ] as const)
    test(`${given.replace(name, "NAME")} is where the cgroup is, and is left as it was`, async () => {
      const { out, exitCode } = await sh(
        ["--cgroup-parent", given],
        "hostname; cat /proc/1/cgroup",
      );
      expect(exitCode).toBe(0);
      const [id] = out.split("\n");
      if (isUnified) return; // a cgroup namespace shows it as /
      expect(out.split("\n").find((line) => line.includes(":memory:"))).toMatch(
        new RegExp(`:${path}/${id}[0-9a-f]{52}$`),
      );
      expect(inAll().length).toBeGreaterThan(0);
      for (const directory of inAll())
        expect(readdirSync(directory).filter((entry) => entry.startsWith(id as string))).toEqual(
          [],
        );
    });

  test("is where the cgroup is found of a container whose command was killed", async () => {
    const running = engine.start([
      ...["run", "--rm", "--cgroup-parent", name, "busybox", "sh", "-c", "hostname; sleep 1000"],
    ]);
    const id = (await running.waitForOutput(/^\w{12}$/m)).trim();
    const cgroups = () =>
      inAll().flatMap((directory) => readdirSync(directory).filter((each) => each.startsWith(id)));
    expect(cgroups().length).toBeGreaterThan(0);
    running.kill("SIGKILL");
    await running.end();
    expect((await engine.call(["ps", "-a", "-q"])).out).toBe("");
    expect(cgroups()).toEqual([]);
  });

  test("that cannot be a cgroup is an error, and nothing runs", async () => {
    const { exitCode, err, out } = await sh(["--cgroup-parent", "/tasks"], "echo ran");
    expect({ exitCode, out }).toEqual({ exitCode: 125, out: "" });
    expect(err).toContain("not a path for a cgroup");
  });
});

leavesNothingBehind(engine);
