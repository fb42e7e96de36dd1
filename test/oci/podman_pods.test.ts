/** Pods of Podman with mydocker as its OCI runtime, beside the same with runc: shared namespaces, and `kube play`. */

import { afterAll, expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { RUNTIMES } from "../helpers/daemon.ts";
import { IMAGE, Podman } from "../helpers/podman.ts";
import { program, type Requirement, root, testIf } from "../helpers/requires.ts";

const requirements: Requirement[] = [
  root(),
  ...["podman", "conmon", "runc"].map((name) => program(name)),
];

const engine = useEngine({
  before: async () => {
    if (requirements.some((requirement) => requirement !== undefined)) return;
    await Promise.all([ours.start(), theirs.start()]);
  },
});
const ours = new Podman(engine, "mydocker", RUNTIMES.mydocker);
const theirs = new Podman(engine, "runc", RUNTIMES.runc);
afterAll(async () => {
  await Promise.all([ours.stop(), theirs.stop()]);
});

/** Does the same with both. @returns what it gave with mydocker, once that is what runc gives */
async function same<T>(act: (podman: Podman) => Promise<T>): Promise<T> {
  const [result, expected] = await Promise.all([act(ours), act(theirs)]);
  expect(result).toEqual(expected);
  return result;
}

testIf(
  requirements,
  "containers of a pod share their namespaces but for mounts and processes",
  async () => {
    const seen = await same(async (podman) => {
      await podman.succeed(["pod", "create", "--name", "shared", "--network", "none"]);
      await podman.succeed([
        "run",
        "--detach",
        "--pod",
        "shared",
        "--name",
        "one",
        IMAGE,
        "sleep",
        "1000",
      ]);
      const spaces = "for name in net ipc uts mnt pid; do readlink /proc/self/ns/$name; done";
      const one = (await podman.succeed(["exec", "one", "sh", "-c", spaces])).split("\n");
      const run = ["run", "--rm", "--pod", "shared", IMAGE, "sh", "-c"];
      const two = (await podman.succeed([...run, spaces])).split("\n");
      const name = await podman.succeed([...run, "hostname"]);
      const status = await podman.succeed([
        "pod",
        "ps",
        "--format",
        "{{.Status}} {{.NumberOfContainers}}",
      ]);
      await podman.succeed(["pod", "rm", "--force", "--time", "0", "shared"]);
      return { shared: one.map((space, index) => space === two[index]), name, status };
    });
    expect(seen).toEqual({
      shared: [true, true, true, false, false],
      name: "shared",
      status: "Running 2",
    });
  },
);

testIf(
  requirements,
  "a pod is stopped, started, paused, restarted and removed as a whole",
  async () => {
    const steps = await same(async (podman) => {
      const script = 'trap "exit 4" TERM; echo up; while :; do sleep 0.05; done';
      await podman.succeed(["pod", "create", "--name", "whole", "--network", "none"]);
      await podman.succeed([
        ...["run", "--detach", "--pod", "whole", "--name", "part", IMAGE, "sh", "-c", script],
      ]);
      await podman.untilLogged("part", /up/);
      const look = async () => podman.inspect("part", "{{.State.Status}} {{.State.ExitCode}}");
      const states = [await look()];
      for (const verb of ["pause", "unpause", "restart", "stop", "start"]) {
        const options = verb === "stop" ? ["--time", "5"] : [];
        const { exitCode, out } = await podman.outcome(["pod", verb, ...options, "whole"]);
        states.push(`${verb}: ${exitCode} ${out}: ${await look()}`);
        if (verb === "restart") await podman.untilLogged("part", /up\nup/);
      }
      const rm = await podman.outcome(["pod", "rm", "--force", "--time", "0", "whole"]);
      const left = await podman.succeed(["ps", "--all", "--quiet"]);
      return { states, rm: rm.exitCode, left };
    });
    expect(steps).toEqual({
      states: [
        "running 0",
        "pause: 0 ID: paused 0",
        "unpause: 0 ID: running 0",
        "restart: 0 ID: running 0",
        "stop: 0 ID: exited 4",
        "start: 0 ID: running 0",
      ],
      rm: 0,
      left: "",
    });
  },
);

const POD = `
apiVersion: v1
kind: Pod
metadata:
  name: site
spec:
  restartPolicy: Never
  volumes:
  - name: pages
    emptyDir: {}
  containers:
  - name: server
    image: ${IMAGE}
    imagePullPolicy: Never
    command: ["sh", "-c", "echo page >/pages/index.html; exec httpd -f -p 127.0.0.1:8080 -h /pages"]
    volumeMounts: [{ name: pages, mountPath: /pages }]
    resources: { limits: { memory: 32Mi } }
    livenessProbe: { exec: { command: ["test", "-e", "/pages/index.html"] }, periodSeconds: 3600 }
  - name: client
    image: ${IMAGE}
    imagePullPolicy: Never
    command: ["sh", "-c", "until wget -qO- http://127.0.0.1:8080/index.html; do sleep 0.1; done; exec sleep 1000"]
    env: [{ name: GREETING, value: hello }]
    securityContext: { runAsUser: 1000, capabilities: { drop: [ALL] } }
`;

testIf(
  requirements,
  "kube play runs a pod of two containers, and kube down removes it",
  async () => {
    const file = join(engine.directory("kube"), "pod.yaml");
    writeFileSync(file, POD);
    const seen = await same(async (podman) => {
      const play = await podman.call(["kube", "play", "--network", "none", file]);
      if (play.exitCode !== 0) return { failed: play.err };
      const log = await podman.untilLogged("site-client", /page/);
      const look = [
        "exec",
        "site-client",
        "sh",
        "-c",
        "id -u; echo $GREETING; hostname; grep CapBnd /proc/1/status",
      ];
      const client = await podman.succeed(look);
      const limit = await podman.succeed([
        ...["exec", "site-server", "sh", "-c"],
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max 2>/dev/null; true",
      ]);
      const health = await podman.outcome(["healthcheck", "run", "site-server"]);
      const down = await podman.outcome(["kube", "down", file]);
      const left = await podman.succeed(["pod", "ps", "--quiet"]);
      return { log, client, limit, health: health.exitCode, down: down.exitCode, left };
    });
    expect(seen).toEqual({
      log: "page",
      client: "1000\nhello\nsite\nCapBnd:\t0000000000000000",
      limit: "33554432",
      health: 0,
      down: 0,
      left: "",
    });
  },
);

testIf(requirements, "no container is left in the runtime", () => {
  expect(ours.records()).toEqual([]);
});

leavesNothingBehind(engine);
