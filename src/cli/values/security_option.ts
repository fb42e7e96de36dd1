/** `--security-opt` (docker/cli: parseSecurityOpts; moby: parseSecurityOpt). */
import type { RunOptions, SeccompRequest } from "../../engine/run_options.ts";
import { MydockerError, UsageError } from "../../errors.ts";
import { SysError } from "../../ffi/call.ts";
import { errnoText } from "../../ffi/errno.ts";
import { ifExists, readFile, statIfExists } from "../../linux/file.ts";
import { quote } from "../../quote.ts";

/** What one option asks for. */
export type SecurityOption =
  | { readonly kind: "noNewPrivileges"; readonly value: boolean }
  | { readonly kind: "seccomp"; readonly value: string }
  | { readonly kind: "apparmor"; readonly value: string }
  | { readonly kind: "label"; readonly value: string }
  | { readonly kind: "unconfinedPaths"; readonly value: true };

const ABSENT = /^(writable-cgroups)$/;

/** One option, `name=value` or, as it used to be, `name:value`. @throws {UsageError} */
export function parseSecurityOption(text: string): SecurityOption {
  const invalid = () => new UsageError(`Invalid --security-opt: ${quote(text)}`);
  // The first "=" counts, even behind a ":" of its value.
  const [, name = "", value = ""] =
    /^([^=]*)=(.*)$/s.exec(text) ?? /^([^:]*):(.*)$/s.exec(text) ?? [];
  if (text === "no-new-privileges") return { kind: "noNewPrivileges", value: true };
  if (value === "") throw invalid();
  switch (name) {
    case "no-new-privileges":
      return { kind: "noNewPrivileges", value: parseBoolean(value) ?? raise(invalid()) };
    case "seccomp":
    case "apparmor":
    case "label":
      return { kind: name, value };
    case "systempaths":
      if (value !== "unconfined") throw invalid();
      return { kind: "unconfinedPaths", value: true };
    default:
      if (ABSENT.test(name))
        throw new UsageError(`security option ${quote(name)} is not supported by this version yet`);
      throw invalid();
  }
}

function raise(error: Error): never {
  throw error;
}

/** As Go's strconv.ParseBool. */
function parseBoolean(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

type Security = Pick<RunOptions, "noNewPrivileges" | "seccomp" | "appArmor" | "unconfinedPaths">;

/**
 * What all of them come to; of two of a kind the last counts.
 * @throws {MydockerError} for a file that cannot be read, or a security module that the kernel lacks
 */
export function composeSecurity(given: readonly SecurityOption[]): Security {
  let security: Security = { noNewPrivileges: false };
  for (const option of given) {
    if (option.kind === "label") checkLabel(option.value);
    else if (option.kind === "apparmor")
      security = { ...security, ...appArmorProfile(option.value) };
    else if (option.kind === "seccomp")
      security = { ...security, seccomp: readSeccomp(option.value) };
    else security = { ...security, [option.kind]: option.value };
  }
  return security;
}

/** A name that is built in, or a file, whose text counts from now on. */
function readSeccomp(value: string): SeccompRequest {
  if (value === "unconfined" || value === "builtin") return value;
  try {
    return { profile: readFile(value) };
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    throw new MydockerError(
      `opening seccomp profile (${value}) failed: open ${value}: ${errnoText(cause.errno)}`,
      { exitCode: 125, cause },
    );
  }
}

/** Without AppArmor every container is what `unconfined` asks for. Whether the profile is loaded, the start shows. */
function appArmorProfile(profile: string): Pick<RunOptions, "appArmor"> {
  if (profile === "unconfined") return {};
  const enabled = ifExists(() => readFile("/sys/module/apparmor/parameters/enabled"));
  if (enabled?.startsWith("Y") === true) return { appArmor: profile };
  throw new UsageError(`AppArmor profile ${quote(profile)}: the kernel has no AppArmor`);
}

/** Without SELinux nothing has a label, which is what `disable` asks for. */
function checkLabel(label: string): void {
  if (label === "disable") return;
  if (statIfExists("/sys/fs/selinux/enforce") !== undefined)
    throw new UsageError(`SELinux label ${quote(label)}: not supported by this version yet`);
  throw new UsageError(`SELinux label ${quote(label)}: the kernel has no SELinux`);
}
