/** What nobody uses: prune of each kind, and system df. Beside docker where its words are the measure. */

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { Dockerd, IMAGE } from "../helpers/dockerd.ts";
import { program, root, testIf } from "../helpers/requires.ts";
import { archive } from "../helpers/tar_builder.ts";

const engine = useEngine({
  before: async () => {
    await ok("volume", "create", "before");
    await ok("volume", "rm", "before");
    await ok("network", "create", "before");
    await ok("network", "rm", "before");
  },
});

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const lines = (text: string): string[] => text.split("\n").filter(Boolean);
const containers = async () => lines(await ok("ps", "-a", "--format", "{{.Names}}")).sort();
const volumes = async () => lines(await ok("volume", "ls", "-q")).sort();
const images = async () =>
  lines(await ok("images", "--format", "{{.Repository}}:{{.Tag}}")).toSorted();
const data = (name: string, ...below: string[]) =>
  join(engine.root, "volumes", name, "_data", ...below);
const total = (text: string) => lines(text).at(-1);

/** An image of one layer of so many bytes. */
async function importImage(name: string, size: number, ...changes: string[]): Promise<string> {
  const file = join(engine.directory("archives"), "image.tar");
  writeFileSync(file, archive({ name: `of-${size}`, data: "x".repeat(size) }));
  return await ok("import", ...changes.flatMap((change) => ["-c", change]), file, name);
}

describe("container prune", () => {
  test("removes what does not run and meets the filters, and says how much that was", async () => {
    await ok("create", "--name", "created", "busybox", "true");
    await ok("run", "--name", "ended", "-l", "a=b", "busybox", "sh", "-c", "echo hello > /f");
    await ok("run", "-d", "--name", "up", "-l", "a=b", "busybox", "sleep", "1000");
    await ok("run", "-d", "--name", "paused", "busybox", "sleep", "1000");
    await ok("pause", "paused");
    const all = ["created", "ended", "paused", "up"];
    for (const filter of ["label=a=c", "label=c", "until=1h", "until=2001-01-01"]) {
      const out = await ok("container", "prune", "-f", "--filter", filter);
      expect([filter, out]).toEqual([filter, "Total reclaimed space: 0B"]);
    }
    expect(await containers()).toEqual(all);
    const refused = await engine.call(["container", "prune"], { stdin: "no\ny\n" });
    expect(refused.exitCode).toBe(0);
    expect(await containers()).toEqual(all);
    const id = await ok("inspect", "-f", "{{.Id}}", "ended");
    const pruned = await ok(
      "container",
      "prune",
      "-f",
      "--filter",
      "label!=b",
      "--filter",
      "label=a=b",
    );
    expect(pruned).toBe(`Deleted Containers:\n${id}\n\nTotal reclaimed space: 6B`);
    const agreed = await engine.call(["container", "prune"], { stdin: "Y\n" });
    expect(agreed.out).toMatch(
      /^WARNING! .*\n.* \[y\/N\] Deleted Containers:\n[0-9a-f]{64}\n\nTotal/,
    );
    expect(await containers()).toEqual(["paused", "up"]);
    await ok("rm", "-f", "up", "paused");
  });

  test("that many do at once removes each container once", async () => {
    await Promise.all(Array.from({ length: 20 }, () => ok("create", "busybox", "true")));
    const outputs = await Promise.all(
      Array.from({ length: 10 }, () => engine.call(["container", "prune", "-f"])),
    );
    const ids = outputs.flatMap(({ out }) => out.match(/^[0-9a-f]{64}$/gm) ?? []);
    expect(outputs.map(({ exitCode, err }) => [exitCode, err])).toEqual(Array(10).fill([0, ""]));
    expect([ids.length, new Set(ids).size]).toEqual([20, 20]);
    expect(await containers()).toEqual([]);
  });
});

describe("volume prune", () => {
  test("removes those without a name that nobody has, with -a the others, too", async () => {
    const anonymous = await ok("volume", "create");
    const labelled = await ok("volume", "create", "--label", "keep");
    await ok("volume", "create", "named");
    await ok("create", "--name", "user", "-v", "used:/x", "-v", "/anonymous", "busybox", "true");
    const own = (await volumes()).filter(
      (name) => ![anonymous, labelled].includes(name) && name.length === 64,
    );
    writeFileSync(data(anonymous, "f"), "x".repeat(2500));
    const options = ["volume", "prune", "-f", "--filter", "label!=keep"];
    expect(await ok(...options)).toBe(
      `Deleted Volumes:\n${anonymous}\n\nTotal reclaimed space: 2.5kB`,
    );
    expect(await ok(...options, "-a")).toBe("Deleted Volumes:\nnamed\n\nTotal reclaimed space: 0B");
    expect(await ok("volume", "prune", "-f")).toContain(labelled);
    expect(await volumes()).toEqual([...own, "used"].sort());
    await ok("rm", "user");
    const both = await ok("volume", "prune", "-f", "--filter", "all=true");
    expect(lines(both).slice(1, -1).sort()).toEqual([...own, "used"].sort());
  });

  test("removes nothing as long as it is not known what a container has", async () => {
    const id = await ok("create", "-v", "kept:/x", "busybox", "true");
    await ok("volume", "create", "unused");
    writeFileSync(join(engine.root, "containers", id, "container.json"), "{");
    for (const kind of ["volume", "image"]) {
      const { exitCode, out, err } = await engine.call([kind, "prune", "-af"]);
      expect([exitCode, out]).toEqual([1, "Total reclaimed space: 0B"]);
      expect(err).toContain(`no ${kind} is removed`);
      expect(err).toContain(`mydocker rm -f ${id.slice(0, 12)}`);
    }
    expect(await volumes()).toEqual(["kept", "unused"]);
    await ok("rm", "-f", id);
    expect(lines(await ok("volume", "prune", "-af"))).toContain("kept");
  });

  test("while containers with volumes come and go takes none from any of them", async () => {
    const script = "echo mine > /x/f; echo mine > /y/f; sleep 0.05; cat /x/f /y/f";
    const runs = Array.from({ length: 12 }, (_, index) =>
      engine.call([
        "run",
        "--rm",
        "-v",
        `churn${index}:/x`,
        "-v",
        "/y",
        "busybox",
        "sh",
        "-c",
        script,
      ]),
    );
    const prunes = (async () => {
      for (let round = 0; round < 12; round++) await ok("volume", "prune", "-af");
    })();
    for (const { exitCode, out, err } of await Promise.all(runs))
      expect([exitCode, out, err]).toEqual([0, "mine\nmine", ""]);
    await prunes;
    await ok("volume", "prune", "-af");
    expect(await volumes()).toEqual([]);
  });
});

describe("image prune", () => {
  test("removes those without a tag that no container has, with -a the others, too", async () => {
    const first = await importImage("one", 1500, "LABEL a=b");
    await importImage("one", 2500);
    await importImage("two:tag", 3500);
    await ok("tag", "two:tag", "two:other");
    await ok("create", "--name", "user", "two:tag", "true");
    const prune = ["image", "prune", "-f"];
    expect(await ok(...prune, "--filter", "label=c")).toBe("Total reclaimed space: 0B");
    expect(await ok(...prune, "--filter", "dangling=true")).toMatch(
      new RegExp(
        `^Deleted Images:\ndeleted: ${first}\ndeleted: sha256:.*\n\nTotal reclaimed space: 1.5kB$`,
      ),
    );
    const all = await ok(...prune, "-a");
    expect(all).toContain("untagged: one:latest\n");
    expect(await images()).toEqual(["two:other", "two:tag"]); // a container has it, under both names
    await ok("rm", "user");
    expect(total(await ok(...prune, "-a"))).toBe("Total reclaimed space: 3.5kB");
    expect(await images()).toEqual([]);
    expect(await ok("run", "--rm", "busybox", "echo", "back")).toBe("back");
  });
});

describe("system prune", () => {
  test("removes containers first, and then what only they had", async () => {
    await importImage("gone", 1000);
    await ok("network", "create", "lonely");
    await ok("create", "--network", "lonely", "-v", "named:/x", "-v", "/own", "gone", "true");
    const pruned = await ok("system", "prune", "-f");
    expect(pruned).toMatch(
      /^Deleted Containers:\n[0-9a-f]{64}\n\nDeleted Networks:\nlonely\n\nTotal/,
    );
    expect(total(pruned)).toBe("Total reclaimed space: 0B");
    expect([await containers(), (await volumes()).length]).toEqual([[], 2]);
    const out = await ok("system", "prune", "-af", "--volumes");
    expect(out).toMatch(/^Deleted Volumes:\n[0-9a-f]{64}\n\nDeleted Images:\n/);
    expect(out).toContain("untagged: gone:latest");
    expect(await volumes()).toEqual(["named"]);
    await ok("volume", "rm", "named");
  });

  test("goes on when one kind cannot be removed", async () => {
    const id = await ok("create", "busybox", "true");
    const other = await ok("create", "busybox", "true");
    writeFileSync(join(engine.root, "containers", id, "container.json"), "{");
    const { exitCode, out, err } = await engine.call(["system", "prune", "-f", "--volumes"]);
    expect([exitCode, out]).toEqual([
      1,
      `Deleted Containers:\n${other}\n\nTotal reclaimed space: 0B`,
    ]);
    expect(err).toContain("no volume is removed");
    expect(err).toContain("no image is removed");
    await ok("rm", "-f", id);
  });
});

test("what is removed is told by events", async () => {
  const since = `${Math.floor(Date.now() / 1000)}`;
  const own = await ok("volume", "create");
  await ok("create", "-v", "told:/x", "-v", "/y", "busybox", "true");
  await ok("container", "prune", "-f");
  await ok("volume", "rm", "told");
  await ok("volume", "prune", "-f");
  const template = "{{.Type}} {{.Action}} {{.Actor.ID}}";
  const events = ["events", "--since", since, "--until", "0s", "--format", template];
  const told = lines(await ok(...events, "-f", "type=volume"));
  expect(told).toContain(`volume create ${own}`);
  expect(told).toContain("volume create told");
  expect(told).toContain("volume destroy told");
  expect(told).toContain(`volume destroy ${own}`);
  expect(told.at(-1)).toBe("volume prune ");
  const others = lines(await ok(...events, "-f", "type=container"));
  expect(others.at(-1)).toBe("container prune ");
});

describe("system df", () => {
  test("counts files with several names once, and follows no links", async () => {
    await ok("volume", "create", "counted");
    mkdirSync(data("counted", "a\nb"));
    writeFileSync(data("counted", "a\nb", "f"), "x".repeat(1000));
    linkSync(data("counted", "a\nb", "f"), data("counted", "hard"));
    symlinkSync("/usr", data("counted", "usr"));
    const size = ["system", "df", "-v", "--format", "{{range .Volumes}}{{.Size}}{{end}}"];
    expect(await ok(...size)).toBe(`${(1000 + "/usr".length) / 1000}kB`);
    await ok("volume", "rm", "counted");
  });

  test("shows what images share", async () => {
    await importImage("base", 4000);
    await importImage("base:labelled", 4000, "LABEL a=b");
    const row = "{{range .Images}}{{.VirtualSize}} {{.SharedSize}} {{.UniqueSize}};{{end}}";
    const shown = await ok("system", "df", "-v", "--format", row);
    expect(shown.split(";").filter((each) => each.startsWith("4kB"))).toEqual([
      "4kB 4kB 0B",
      "4kB 4kB 0B",
    ]);
    await ok("rmi", "base", "base:labelled");
  });
});

const requirements = [root(), program("dockerd"), program("docker"), program("ip")];
const dockerd = new Dockerd(engine, "docker");
afterAll(() => dockerd.stop());

/** What is each one's own, and what only Docker has: a build cache. */
const comparable = (text: string) =>
  text
    .replace(/^ {2}- all (dangling )?build cache.*\n/gm, "")
    .replace(/\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b/g, "ID")
    .replace(/\b(About )?(Less than )?an? (second|minute)|\d+ seconds?\b/g, "AGE")
    .replace(/^(mydocker: |Error response from daemon: |ERROR: |"?docker )/gm, "")
    .replace(/mydocker/g, "docker")
    .replace(/ +/g, " ");

describe("beside docker", () => {
  testIf(requirements, "the same is said of the same", async () => {
    await dockerd.start();
    const setUp = [
      ["volume", "create", "first"],
      ["volume", "create", "--label", "a=b", "second"],
      ["create", "--name", "one", "-v", "first:/x", "busybox:test", "true"],
      ["create", "--name", "two", "-l", "k=v", "busybox:test", "sleep"],
    ];
    const compared: [args: string[], stdin?: string][] = [
      [["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}"]],
      [
        [
          "system",
          "df",
          "-v",
          "--format",
          "{{range .Containers}}{{.Names}} {{.LocalVolumes}} {{.Size}} {{.Mounts}};{{end}}",
        ],
      ],
      [["system", "df", "extra"]],
      [["system", "prune"], "n\n"],
      [
        [
          "system",
          "prune",
          "--filter",
          "until=24h",
          "--filter",
          "label=x=y",
          "--filter",
          "label!=z",
        ],
        "",
      ],
      [["system", "prune", "-af", "--volumes", "--filter", "until=1h"]],
      [["container", "prune"], "yes\n"],
      [["image", "prune"], "\n"],
      [["image", "prune", "-a"], ""],
      [["container", "prune", "-f", "--filter", "until=never"]],
      [["container", "prune", "-f", "--filter", "until=1h", "--filter", "until=2h"]],
      [["container", "prune", "-f", "--filter", "label=none"]],
      [["container", "prune", "-f", "--filter", "label=k=v"]],
      [["container", "prune", "-f", "--filter", "label!=k"]],
      [["volume", "ls", "--filter", "label=a", "--format", "{{.Name}} {{.Labels}}"]],
      [["volume", "ls", "-q", "--filter", "dangling=false"]],
      [["volume", "ls", "-q", "--filter", "name=sec"]],
      [["volume", "prune", "-f", "--filter", "label=none"]],
      [["volume", "rm", "first", "second"]],
      [["system", "prune", "-f"]],
    ];
    await ok("tag", "busybox", IMAGE);
    for (const args of setUp) {
      await ok(...args);
      expect([args, (await dockerd.docker(args)).exitCode]).toEqual([args, 0]);
    }
    for (const [args, stdin = ""] of compared) {
      const [mine, theirs] = [
        await engine.call(args, { stdin }),
        await dockerd.docker(args, { stdin }),
      ];
      const [out, expected] = [comparable(mine.out), comparable(theirs.out)];
      expect([args, mine.exitCode, out]).toEqual([args, theirs.exitCode, expected]);
      const [error] = comparable(theirs.err).split("\n");
      if (mine.exitCode !== 0)
        expect(comparable(mine.err)).toContain((error as string).replace(/\.$/, ""));
    }
    await dockerd.stop();
    await ok("rmi", IMAGE);
    expect(existsSync(join(engine.root, "volumes/.tmp"))).toBe(false);
  });
});

leavesNothingBehind(engine);
