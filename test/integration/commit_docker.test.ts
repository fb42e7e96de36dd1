/** `diff`, `export` and `commit` beside Docker, and what others read of a committed image. */

import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, type Result, useEngine } from "../helpers/cli.ts";
import { Dockerd, IMAGE } from "../helpers/dockerd.ts";
import { writeImageArchive } from "../helpers/image_archive.ts";
import { program, root, testIf } from "../helpers/requires.ts";

const requirements = [root(), program("dockerd"), program("docker")];
const isComplete = requirements.every((requirement) => requirement === undefined);
const engine = useEngine({
  before: async () => {
    if (isComplete) await dockerd.start();
    const file = join(engine.folder, "image.tar");
    writeImageArchive(file, IMAGE);
    expect((await engine.call(["load", "-i", file])).err).toBe("");
    await engine.run(["--network", "none", "-v", "/volume", IMAGE, "true"]); // makes the directory of all volumes
  },
});
const dockerd = new Dockerd(engine, "docker");
afterAll(() => dockerd.stop());

type Call = (args: readonly string[]) => Promise<Result>;
const SIDES: Readonly<Record<"docker" | "mydocker", Call>> = {
  docker: (args) => dockerd.docker(args),
  mydocker: (args) => engine.call(args),
};

/** The output of a command that has to work. */
async function output(call: Call, args: readonly string[]): Promise<string> {
  const { exitCode, out, err } = await call(args);
  if (exitCode !== 0) throw new Error(`${args.join(" ")}: ${err}`);
  return out;
}

/** What both give, which has to be the same. */
async function withBoth<T>(observe: (call: Call, side: string) => Promise<T>): Promise<T> {
  const theirs = await observe(SIDES.docker, "docker");
  const ours = await observe(SIDES.mydocker, "mydocker");
  expect(ours).toEqual(theirs);
  return ours;
}

const CHANGES = `
echo more >>/etc/group; rm /bin/arch; rm -r /var/spool; mkdir -p /var/spool/new
mkdir -p /new/deep/er; echo x >/new/deep/er/file; ln /new/deep/er/file /new/hard; ln -s hard /new/link
mkfifo /new/fifo; mknod /new/node c 1 3; chmod 4755 /bin/busybox; chown 5:6 /etc/passwd
rm -r /usr/share/doc; echo file >/usr/share/doc; touch /home; mv /etc/profile /root/profile
rmdir /var/www; ln -s /etc /var/www; rm /etc/shadow; echo s >/etc/shadow; chmod 700 /tmp
echo text >/new/a,b; touch "/new/$(printf 'line\\nbreak')" "/new/$(printf '\\377')"
find / -xdev -newer /etc/group -type f -exec touch -d '2001-02-03 04:05:06' {} +
`;

/** Files that each gives every container in its own way. */
const DOCKERS_OWN =
  /^(\.dockerenv|(\.\/|etc\/|www\/)(mtab|hosts|hostname|resolv.conf)|dev\/(console|pts\/|shm\/))$/;

/** The members of a tar archive, without times. */
async function membersOf(tar: string): Promise<string[]> {
  const { out, err } = await engine.bash('tar --numeric-owner --quoting-style=c -tvf "$1"', {
    args: [tar],
  });
  if (err !== "") throw new Error(err);
  return out
    .split("\n")
    .map((line) => line.replace(/ \d{4}-\d\d-\d\d \d\d:\d\d /, " "))
    .filter((line) => !DOCKERS_OWN.test(/"(.*?)"/.exec(line)?.[1] ?? ""))
    .sort();
}

/** The uppermost layer of an image, as `save` writes it. */
async function topLayerOf(call: Call, side: string, image: string): Promise<string> {
  const folder = join(engine.directory(side), image);
  mkdirSync(folder);
  await output(call, ["save", "-o", `${folder}.tar`, image]);
  await engine.bash('tar -xf "$1.tar" -C "$1"', { args: [folder] });
  const [manifest] = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  return join(folder, manifest.Layers.at(-1));
}

describe("beside Docker", () => {
  testIf(requirements, "diff tells of the same changes, while it runs and afterwards", async () => {
    const lines = await withBoth(async (call) => {
      await output(call, [
        ...["run", "-d", "--name", "changed", "--network", "none", "-v", "/volume", IMAGE],
        ...["sh", "-c", `${CHANGES} echo done; sleep 1000`],
      ]);
      while (!(await output(call, ["logs", "changed"])).includes("done")) await Bun.sleep(20);
      // Docker tells of them in any order.
      const changes = async () => (await output(call, ["diff", "changed"])).split("\n").sort();
      const running = await changes();
      await output(call, ["kill", "changed"]);
      expect(await changes()).toEqual(running);
      return running;
    });
    for (const line of ["D /bin/arch", "C /etc", "A /new/hard", "C /usr/share/doc", "A /volume"])
      expect(lines).toContain(line);
  });

  testIf(requirements, "export writes the same files", async () => {
    await withBoth(async (call, side) => {
      const file = join(engine.directory("export"), side);
      await output(call, ["export", "-o", file, "changed"]);
      return membersOf(file);
    });
  });

  testIf(requirements, "commit makes a layer with the same members", async () => {
    const members = await withBoth(async (call, side) => {
      await output(call, ["commit", "changed", "committed"]);
      return membersOf(await topLayerOf(call, side, "committed"));
    });
    expect(members.join("\n")).toContain('"bin/.wh.arch"');
    expect(members.join("\n")).toContain('"var/spool/.wh..wh..opq"');
  });

  testIf(
    requirements,
    "commit makes the same configuration of options and changes",
    async () => {
      const all = [
        [],
        ["CMD echo hi"],
        ['CMD ["a", "b"]'],
        ['ENTRYPOINT ["a","b"]'],
        ["ENTRYPOINT x", "CMD y"],
        ["ENV A=1 B=two", "ENV X=2"],
        ["ENV PATH=$PATH:/x"],
        ["EXPOSE 80 53/udp"],
        ['LABEL l=n c="d e"'],
        ["ONBUILD RUN x"],
        ["USER u:g"],
        ["VOLUME /v /w"],
        ["WORKDIR /a/b", "WORKDIR c"],
        ["HEALTHCHECK --interval=5s CMD true"],
        ["CMD x", "USER 7", "WORKDIR /w", "ENV Q=r"],
      ];
      const containers: readonly (readonly string[])[] = [
        [IMAGE],
        [
          ...["-e", "X=1", "-e", "PATH=/bin", "-w", "/tmp", "-u", "1:2", "-v", "/anonymous"],
          ...[
            "--label",
            "l=m",
            "--stop-signal",
            "SIGINT",
            "--entrypoint",
            "sh",
            IMAGE,
            "-c",
            "true",
          ],
        ],
      ];
      const fields =
        "User ExposedPorts Env Cmd Entrypoint Volumes WorkingDir Labels OnBuild StopSignal Healthcheck".split(
          " ",
        );
      await withBoth(async (call) => {
        const found: unknown[] = [];
        for (const [number, args] of containers.entries()) {
          const name = `configured${number}`;
          await output(call, ["create", "--name", name, "--network", "none", ...args]);
          for (const changes of number === 0 ? all : all.slice(0, 7)) {
            const options = changes.flatMap((change) => ["-c", change]);
            const id = await output(call, ["commit", "-a", "me", "-m", "why", ...options, name]);
            const [image] = JSON.parse(await output(call, ["image", "inspect", id]));
            const history = await output(call, [
              "history",
              "--no-trunc",
              "--format",
              "{{.CreatedBy}}|{{.Comment}}",
              id,
            ]);
            const config = fields.map((field) => {
              const value = image.Config[field] ?? null;
              // Docker writes an empty list or map where there is nothing, or does not.
              return [field, value === "" || Object.keys(value ?? {}).length === 0 ? null : value];
            });
            const { Author, Comment, Architecture, Os, RootFS } = image;
            found.push({
              args,
              changes,
              config,
              history,
              Author,
              Comment,
              Architecture,
              Os,
              RootFS,
            });
          }
        }
        return found;
      });
    },
    60_000,
  );

  for (const [why, args] of [
    ["no such container", ["commit", "missing"]],
    ["no such container", ["diff", "missing"]],
    ["no such container", ["export", "missing"]],
    ["no such container", ["cp", "missing:/x", "/tmp"]],
    ["no such container", ["cp", "/etc/passwd", "missing:/x"]],
    ["two containers", ["cp", "changed:/x", "changed:/y"]],
    ["no container", ["cp", "/etc/passwd", "/tmp/x"]],
    ["nothing to read", ["cp", "", "changed:/x"]],
    ["a name in capitals", ["commit", "changed", "UPPER"]],
    ["an instruction that is none", ["commit", "-c", "RUN x", "changed"]],
    ["too many arguments", ["diff", "changed", "other"]],
    ["a file in no directory", ["export", "-o", "/missing/file", "changed"]],
    ["a tar for what is no directory", ["cp", "-", "changed:/etc/passwd"]],
    ["a directory that is missing", ["cp", "/etc/passwd", "changed:/missing/x"]],
    ["a device to write to", ["cp", "changed:/etc/passwd", "/dev/null"]],
  ] as const) {
    testIf(requirements, `${args.join(" ")} ends as Docker's does: ${why}`, async () => {
      await withBoth(async (call) => (await call(args)).exitCode);
    });
  }

  testIf(requirements, "cp to a stream writes the same archive", async () => {
    for (const path of [
      "/etc",
      "/etc/",
      "/etc/.",
      "/etc/passwd",
      "/var/www",
      "/var/www/",
      "/new",
    ]) {
      await withBoth(async (call, side) => {
        const file = join(engine.directory("stream"), side);
        const { stdout } = await call(["cp", `changed:${path}`, "-"]);
        await Bun.write(file, stdout);
        return [path, await membersOf(file)];
      });
    }
  });
});

describe("a committed image", () => {
  testIf([root(), program("skopeo")], "is read by skopeo, digest by digest", async () => {
    await output(SIDES.mydocker, [
      ...["run", "--name", "grown", "--network", "none", "busybox", "sh", "-c"],
      "dd if=/dev/urandom of=/random bs=1M count=3; rm -r /home",
    ]);
    const id = await output(SIDES.mydocker, ["commit", "grown", "grown:1"]);
    const folder = engine.directory("skopeo");
    await output(SIDES.mydocker, ["save", "-o", join(folder, "tar"), "grown:1"]);
    const env = { HOME: folder };
    const copied = await engine.exec(
      [
        "skopeo",
        "--insecure-policy",
        "copy",
        `docker-archive:${folder}/tar`,
        `oci:${folder}/oci:x`,
      ],
      { env },
    );
    expect(copied.err).toBe("");
    const { out } = await engine.exec(["skopeo", "inspect", "--config", `oci:${folder}/oci:x`], {
      env,
    });
    const [image] = JSON.parse(await output(SIDES.mydocker, ["image", "inspect", id]));
    expect(JSON.parse(out).rootfs.diff_ids).toEqual(image.RootFS.Layers);
  });

  testIf(requirements, "is loaded and run by Docker, and by mydocker", async () => {
    await output(SIDES.mydocker, [
      "run",
      "--name",
      "kept",
      "--network",
      "none",
      IMAGE,
      "sh",
      "-c",
      "echo new >/new; rm -r /home",
    ]);
    await output(SIDES.mydocker, [
      "commit",
      "-c",
      'CMD ["sh", "-c", "cat /new; ls -d /home"]',
      "kept",
      "kept:1",
    ]);
    const file = join(engine.folder, "kept.tar");
    await output(SIDES.mydocker, ["save", "-o", file, "kept:1"]);
    await output(SIDES.docker, ["load", "-i", file]);
    await withBoth(async (call) => {
      const { exitCode, out } = await call(["run", "--rm", "--network", "none", "kept:1"]);
      return { exitCode, out };
    });
  });
});

test("everything is removed", async () => {
  if (isComplete) await dockerd.removeContainers();
  await dockerd.stop();
  const { out } = await engine.call(["ps", "-aq"]);
  if (out !== "") await output(SIDES.mydocker, ["rm", "-f", "-v", ...out.split("\n")]);
  const images = (await engine.call(["images", "-aq"])).out.split("\n");
  const base = (await engine.call(["images", "-q", "busybox"])).out.split("\n");
  const made = [...new Set(images)].filter((id) => !base.includes(id));
  if (made.length > 0) await output(SIDES.mydocker, ["rmi", "-f", ...made]);
  rmSync(join(engine.folder, "files"), { recursive: true, force: true });
});
leavesNothingBehind(engine);
