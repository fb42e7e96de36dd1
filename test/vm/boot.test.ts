/** The unit of `system unit` under systemd: containers are back after the machine was down. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { readStat } from "../helpers/leaks.ts";

const engine = useEngine();
const UNIT = "mydocker-boot-test.service";
const UNIT_FILE = `/run/systemd/system/${UNIT}`;
const BOOT_ID = "/proc/sys/kernel/random/boot_id";
const SLEEP = ["busybox", "sleep", "1000"];

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const run = (policy: string, name: string, ...more: string[]) =>
  ok("run", "-d", "--restart", policy, "--name", name, ...more, ...SLEEP);
const running = async (): Promise<string[]> =>
  (await ok("ps", "--format", "{{.Names}}")).split("\n").filter(Boolean).sort();

function command(...args: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(args);
  if (exitCode !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
  return stdout.toString().trim();
}

const cgroupOf = (pid: number): string =>
  /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1] ?? "";

/** What a reboot changes of what mydocker looks at: nothing is in /run, and the boot has another id. */
function pretendReboot(): Disposable {
  for (const entry of readdirSync(engine.runFolder)) {
    rmSync(join(engine.runFolder, entry), { recursive: true });
  }
  const file = join(engine.directory("boot"), "boot_id");
  writeFileSync(file, "01234567-89ab-4cde-8f01-23456789abcd\n");
  command("mount", "--bind", file, BOOT_ID);
  return { [Symbol.dispose]: () => void command("umount", BOOT_ID) };
}

beforeAll(async () => {
  writeFileSync(UNIT_FILE, await ok("system", "unit"));
  command("systemctl", "daemon-reload");
}, 60_000);
afterAll(() => {
  Bun.spawnSync(["systemctl", "stop", UNIT]);
  rmSync(UNIT_FILE, { force: true });
  command("systemctl", "daemon-reload");
});

test("what its policies say runs again after a reboot, below the unit, and one that cannot start harms no other", async () => {
  const source = engine.directory("source");
  command("systemctl", "start", UNIT);
  await run("always", "always");
  await run("unless-stopped", "stopped");
  await run("no", "no");
  await run("always", "broken", "--mount", `type=bind,source=${source},target=/source`);
  await ok("stop", "stopped");

  command("systemctl", "stop", UNIT);
  expect(await running()).toEqual([]);
  using _boot = pretendReboot();
  rmSync(source, { recursive: true });
  command("systemctl", "start", UNIT);

  expect(await running()).toEqual(["always"]);
  expect(command("systemctl", "is-active", UNIT)).toBe("active");
  const id = await ok("inspect", "-f", "{{.Id}}", "always");
  const pid = Number(await ok("inspect", "-f", "{{.State.Pid}}", "always"));
  const monitor = readStat(pid)?.parent ?? 0;
  expect(cgroupOf(monitor)).toBe(`/system.slice/${UNIT}`);
  expect(cgroupOf(pid)).toBe(`/mydocker/${id}`);

  // What is done to the unit, and not to the machine, leaves them running.
  command("systemctl", "daemon-reload");
  command("systemctl", "reload-or-restart", "systemd-tmpfiles-clean.service");
  expect(readStat(pid)?.parent).toBe(monitor);

  await ok("rm", "-f", ...(await ok("ps", "-aq")).split("\n"));
  command("systemctl", "stop", UNIT);
  expect(command("systemctl", "show", "-P", "Result", UNIT)).toBe("success");
});

leavesNothingBehind(engine);
