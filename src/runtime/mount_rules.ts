/** Rules for what is put into the container's file system: mounts, devices, and hooks' programs. */
import {
  ABSOLUTE,
  ENVIRONMENT,
  FILLED,
  ID,
  ID_MAPPINGS,
  TEXT,
  TEXT_OR_NONE,
  TEXTS,
} from "./common_rules.ts";
import type { ConfigReader, Draft, Rule } from "./config_reader.ts";
import type { Device, Hook, HookPlace, IdMapping, Mount } from "./spec.ts";

/** Options of a mount that needs no file system type (mount(8)). */
const TYPELESS: ReadonlySet<string> = new Set(
  "remount private slave shared unbindable rprivate rslave rshared runbindable".split(" "),
);

/** The path from the container's `/`, with no `.` or `..`; undefined when it leads above that. */
export function pathInRoot(path: string): string | undefined {
  if (path.startsWith("/") && !path.includes("/.") && !path.includes("//") && !path.endsWith("/"))
    return path; // nearly always
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined) return undefined;
    } else if (part !== "" && part !== ".") {
      parts.push(part);
    }
  }
  return `/${parts.join("/")}`;
}

function placeInRoot(path: string, reader: ConfigReader, key: string): string {
  const place = pathInRoot(path);
  if (place === undefined) reader.fail(`${JSON.stringify(path)} leads out of the root`, key);
  if (place === "/") reader.fail(`${JSON.stringify(path)} is the root itself`, key);
  return place;
}

function finishMount(mount: Partial<Draft<Mount>>, reader: ConfigReader): void {
  const { destination = "", options = [] } = mount;
  if (!destination.startsWith("/")) {
    reader.warn(`${JSON.stringify(destination)} is not absolute: taken from /`, "destination");
  }
  mount.destination = placeInRoot(destination, reader, "destination");
  const isBind = options.includes("bind") || options.includes("rbind");
  if (isBind) {
    mount.type = "bind"; // whatever the type was, "a dummy"
    if (mount.source === undefined)
      reader.fail("missing, expected a path: it is a bind mount", "source");
  } else if (mount.type === undefined) {
    if (!options.some((option) => TYPELESS.has(option))) {
      reader.fail("missing, expected a file system type: it is no bind mount", "type");
    }
    mount.type = "none";
  }
  mount.source ??= mount.type;
  checkIdMapping(mount, options, isBind, reader);
}

function checkIdMapping(
  mount: { uidMappings?: readonly IdMapping[]; gidMappings?: readonly IdMapping[] },
  options: readonly string[],
  isBind: boolean,
  reader: ConfigReader,
): void {
  const isAsked = options.includes("idmap") || options.includes("ridmap");
  for (const key of ["uidMappings", "gidMappings"] as const) {
    if (mount[key]?.length === 0) delete mount[key];
  }
  const { uidMappings, gidMappings } = mount;
  if ((uidMappings === undefined) !== (gidMappings === undefined)) {
    const [missing, given] =
      uidMappings === undefined ? ["uidMappings", "gidMappings"] : ["gidMappings", "uidMappings"];
    reader.fail(`missing, expected with ${given}`, missing as string);
  }
  if ((isAsked || uidMappings !== undefined) && !isBind) {
    reader.fail("no bind mount, and only those can be idmapped", "options");
  }
}

/** An entry of `mounts`. */
export const MOUNT = {
  kind: "struct",
  fields: {
    destination: { ...FILLED, required: true },
    type: TEXT_OR_NONE,
    source: TEXT_OR_NONE,
    options: { ...TEXTS, otherwise: [] },
    uidMappings: ID_MAPPINGS,
    gidMappings: ID_MAPPINGS,
  },
  finish: finishMount,
} as const satisfies Rule;

/** How many device numbers there are: linux/kdev_t.h, MINORBITS. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

function finishDevice(
  device: Partial<Draft<Omit<Device, "type">>> & { type: string },
  reader: ConfigReader,
): void {
  device.path = placeInRoot(device.path ?? "", reader, "path");
  if (device.type === "u") device.type = "c"; // the same (mknod(1))
  for (const key of ["major", "minor"] as const) {
    if (device.type === "p") device[key] = 0;
    else if (device[key] === undefined) {
      reader.fail(`missing, expected with type "${device.type}"`, key);
    }
  }
  device.fileMode = (device.fileMode ?? 0o666) & 0o7777;
}

/** An entry of `linux.devices`. */
export const DEVICE = {
  kind: "struct",
  fields: {
    type: { kind: "word", words: ["c", "b", "u", "p"], required: true },
    path: { ...ABSOLUTE, required: true },
    major: { kind: "integer", min: 0, max: MAX_MAJOR },
    minor: { kind: "integer", min: 0, max: MAX_MINOR },
    // st_mode as it is on the host, with the type's bits, is what some clients send.
    fileMode: { kind: "integer", min: 0, max: 0o177777 },
    uid: ID,
    gid: ID,
  },
  finish: finishDevice,
} as const satisfies Rule;

const HOOK = {
  kind: "struct",
  fields: {
    path: { ...ABSOLUTE, required: true },
    args: { kind: "list", of: TEXT, otherwise: [] },
    env: ENVIRONMENT,
    timeout: { kind: "integer", min: 1, max: 2 ** 31 - 1 },
  },
  finish(hook: Draft<Hook>) {
    if (hook.args.length === 0) hook.args = [hook.path];
  },
} as const satisfies Rule;
const HOOK_LIST = { kind: "list", of: HOOK } as const satisfies Rule;

/** `hooks`. */
export const HOOKS = {
  kind: "struct",
  fields: {
    prestart: HOOK_LIST,
    createRuntime: HOOK_LIST,
    createContainer: HOOK_LIST,
    startContainer: HOOK_LIST,
    poststart: HOOK_LIST,
    poststop: HOOK_LIST,
  } satisfies Record<HookPlace, Rule>,
  finish(hooks: { [place in HookPlace]?: readonly Hook[] }) {
    for (const place in hooks) {
      if (hooks[place as HookPlace]?.length === 0) delete hooks[place as HookPlace];
    }
  },
  otherwise: {},
} as const satisfies Rule;
