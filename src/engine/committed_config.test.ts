import { expect, test } from "bun:test";
import type { ImageRunConfig } from "../images/image_config.ts";
import { SIGNALS } from "../linux/process.ts";
import { committedConfig } from "./committed_config.ts";
import type { RunOptions } from "./run_options.ts";

const OPTIONS: RunOptions = {
  image: "busybox",
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
  network: "none",
  pid: "private",
  ipc: "private",
  uts: "private",
  capAdd: [],
  capDrop: [],
  ulimits: [],
  sysctls: {},
  resources: {},
  sigProxy: true,
};

const IMAGE: ImageRunConfig = {
  Env: ["PATH=/bin", "A=image"],
  Cmd: ["sh"],
  User: "image",
  ExposedPorts: { "80/tcp": {} },
  OnBuild: ["RUN x"],
};

const commit = (
  options: Partial<RunOptions>,
  changes: readonly string[] = [],
  image: ImageRunConfig = IMAGE,
) => {
  const record = { image: "busybox", labels: { l: "m" }, options: { ...OPTIONS, ...options } };
  return committedConfig(image, record, changes);
};

test("what nobody said is the image's, without its triggers", () => {
  expect(commit({}).image).toEqual({
    Env: ["PATH=/bin", "A=image"],
    Cmd: ["sh"],
    User: "image",
    ExposedPorts: { "80/tcp": {} },
    Labels: { l: "m" },
  });
});

test("options go before the image, changes before both", () => {
  const { image } = commit(
    {
      env: ["A=option", "B=b", "PATH"],
      args: ["true"],
      user: "option",
      workdir: "/w",
      stopSignal: SIGNALS.SIGUSR1,
      exposed: [{ protocol: "udp", ports: [7, 8] }],
      ports: [{ protocol: "tcp", port: 443 }],
      mounts: [
        {
          type: "volume",
          name: "x",
          anonymous: true,
          target: "/v",
          readonly: false,
          origin: "volume",
        },
        { type: "volume", name: "n", target: "/named", readonly: false, origin: "volume" },
      ],
    },
    ["ENV B=$A-c", "WORKDIR sub"],
  );
  expect(image).toEqual({
    Env: ["A=option", "B=option-c"],
    Cmd: ["true"],
    User: "option",
    WorkingDir: "/w/sub",
    StopSignal: "SIGUSR1",
    ExposedPorts: { "80/tcp": {}, "7/udp": {}, "8/udp": {}, "443/tcp": {} },
    Volumes: { "/v": {} },
    Labels: { l: "m" },
  });
});

test.each([
  ["an entry point of the options", { entrypoint: "e", args: ["a"] }, [], ["e"], ["a"]],
  ["an empty one", { entrypoint: "", args: ["a"] }, [], undefined, ["a"]],
  ["a command of the default image", { image: "ls", args: ["-l"] }, [], undefined, ["ls", "-l"]],
  ["CMD", { entrypoint: "e", args: ["a"] }, ['CMD ["x"]'], ["e"], ["x"]],
  ["ENTRYPOINT", { args: ["a"] }, ['ENTRYPOINT ["x"]'], ["x"], undefined],
  ["both", {}, ['ENTRYPOINT ["x"]', 'CMD ["y"]'], ["x"], ["y"]],
] as const)("%s decides what is run", (_, options, changes, entrypoint, command) => {
  const { image } = commit(options, changes);
  expect([image.Entrypoint, image.Cmd]).toEqual([
    entrypoint === undefined ? undefined : [...entrypoint],
    command === undefined ? undefined : [...command],
  ]);
});
