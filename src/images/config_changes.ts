/** `--change` of `import` and `commit`: Dockerfile instructions applied to an image's configuration. */
import { MydockerError } from "../errors.ts";
import { SIGNALS } from "../linux/process.ts";
import { parseHealthcheck } from "./healthcheck.ts";
import type { ImageRunConfig } from "./image_config.ts";
import { expand, splitWords } from "./words.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Instruction = (config: Mutable<ImageRunConfig>, args: string) => void;

const SHELL = ["/bin/sh", "-c"];

/**
 * Applies instructions in order.
 * @param config is not changed
 * @throws {MydockerError} in Docker's words where it has some
 */
export function applyChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  const result: Mutable<ImageRunConfig> = { ...config };
  for (const change of changes) {
    // A value may have several lines, and a line that ends in a backslash goes on in the next.
    for (const line of change.replaceAll(/\\[ \t]*\r?\n/g, "").split(/\r?\n/)) {
      const text = line.trim();
      if (text === "" || text.startsWith("#")) continue;
      const [, keyword = "", args = ""] = /^(\S+)\s*([\s\S]*)$/.exec(text) ?? [];
      const name = keyword.toUpperCase();
      const instruction = Object.hasOwn(INSTRUCTIONS, name) ? INSTRUCTIONS[name] : undefined;
      if (instruction === undefined)
        throw new MydockerError(`${name} is not a valid change command`);
      if (args === "") throw new MydockerError(`${name} requires at least one argument`);
      instruction(result, args);
    }
  }
  return result;
}

const INSTRUCTIONS: Readonly<Record<string, Instruction>> = {
  CMD: (config, args) => {
    config.Cmd = parseCommand(args, config);
  },
  ENTRYPOINT: (config, args) => {
    config.Entrypoint = parseCommand(args, config);
  },
  ENV: (config, args) => {
    const env = new Map((config.Env ?? []).map((entry) => splitPair(entry)));
    for (const [name, value] of parsePairs("ENV", args, variablesOf(config))) env.set(name, value);
    config.Env = [...env].map(([name, value]) => `${name}=${value}`);
  },
  LABEL: (config, args) => {
    config.Labels = {
      ...config.Labels,
      ...Object.fromEntries(parsePairs("LABEL", args, variablesOf(config))),
    };
  },
  EXPOSE: (config, args) => {
    const ports = words(config, args).flatMap(parsePorts);
    config.ExposedPorts = {
      ...config.ExposedPorts,
      ...Object.fromEntries(ports.map((port) => [port, {}])),
    };
  },
  VOLUME: (config, args) => {
    const volumes = jsonStrings(args) ?? words(config, args);
    if (volumes.some((volume) => volume.trim() === ""))
      throw new MydockerError("VOLUME specified can not be an empty string");
    config.Volumes = {
      ...config.Volumes,
      ...Object.fromEntries(volumes.map((volume) => [volume, {}])),
    };
  },
  USER: (config, args) => {
    config.User = single("USER", config, args);
  },
  WORKDIR: (config, args) => {
    config.WorkingDir = resolvePath(config.WorkingDir ?? "/", expand(args, variablesOf(config)));
  },
  STOPSIGNAL: (config, args) => {
    const signal = single("STOPSIGNAL", config, args);
    if (!isSignal(signal)) throw new MydockerError(`Invalid signal: ${signal}`);
    config.StopSignal = signal;
  },
  ONBUILD: (config, args) => {
    const trigger = (/^\S+/.exec(args)?.[0] ?? "").toUpperCase();
    if (trigger === "ONBUILD")
      throw new MydockerError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if (trigger === "FROM" || trigger === "MAINTAINER")
      throw new MydockerError(`${trigger} isn't allowed as an ONBUILD trigger`);
    config.OnBuild = [...(config.OnBuild ?? []), args];
  },
  HEALTHCHECK: (config, args) => {
    config.Healthcheck = parseHealthcheck(args, (command) => jsonStrings(command));
  },
};

/** JSON of an array of strings, or undefined: then it is meant for a shell. */
function jsonStrings(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === "string")
      ? value
      : undefined;
  } catch {
    return undefined;
  }
}

function parseCommand(args: string, config: ImageRunConfig): readonly string[] {
  return jsonStrings(args) ?? [...(config.Shell ?? SHELL), args];
}

function splitPair(entry: string): [name: string, value: string] {
  const equals = entry.indexOf("=");
  return equals === -1 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

function variablesOf(config: ImageRunConfig): ReadonlyMap<string, string> {
  return new Map((config.Env ?? []).map(splitPair));
}

function words(config: ImageRunConfig, args: string): string[] {
  return splitWords(args).map((word) => expand(word, variablesOf(config)));
}

function single(name: string, config: ImageRunConfig, args: string): string {
  const [value, ...others] = words(config, args);
  if (value === undefined || others.length > 0)
    throw new MydockerError(`${name} requires exactly one argument`);
  return value;
}

/** `A=1 B="two words"`, or the old form `NAME the rest of the line`. */
function parsePairs(
  instruction: string,
  args: string,
  variables: ReadonlyMap<string, string>,
): [name: string, value: string][] {
  const all = splitWords(args);
  if (all[0]?.includes("=") !== true) {
    const [, name = "", rest] = /^(\S+)\s+([\s\S]+)$/.exec(args) ?? [];
    if (rest === undefined) throw new MydockerError(`${instruction} must have two arguments`);
    return [[expand(name, variables), expand(rest, variables)]];
  }
  return all.map((word) => {
    if (!word.includes("="))
      throw new MydockerError(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    const [name, value] = splitPair(word);
    if (name === "") throw new MydockerError(`${instruction} names can not be blank`);
    return [expand(name, variables), expand(value, variables)];
  });
}

/** `80`, `80/udp`, `8000-8010/tcp`: each port with its protocol. */
function parsePorts(text: string): string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/([A-Za-z]+))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  const protocol = (match?.[3] ?? "tcp").toLowerCase();
  if (match === null || last > 65535 || first > last)
    throw new MydockerError(`Invalid containerPort: ${text}`);
  if (!["tcp", "udp", "sctp"].includes(protocol))
    throw new MydockerError(`Invalid proto: ${protocol}`);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

/** A path of the container made absolute; `.` and `..` mean what they say. */
function resolvePath(base: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${base}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** A name with or without SIG, a number, or a real-time signal (moby's signal.ParseSignal). */
function isSignal(text: string): boolean {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= 64;
  const name = text.toUpperCase().replace(/^SIG/, "");
  return Object.hasOwn(SIGNALS, `SIG${name}`) || /^RTM(?:IN|AX)(?:[+-]\d{1,2})?$/.test(name);
}
