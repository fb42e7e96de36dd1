/**
 * The filter of Docker's profile for a container's capabilities, without compiling anything.
 *
 * Capabilities allow calls: all that have the same one fare alike. So a program is made beforehand in
 * which what each of these groups returns is a mark, and the places of the marks are known; what is
 * left to do is to write "allowed" or the default over them. CAP_SYS_ADMIN also changes conditions
 * (of clone), so there is one such program with it and one without. For Docker's default
 * capabilities there is the very program (precompiled.ts), which is a bit shorter.
 */
import { SOCK_FILTER_SIZE } from "./bpf.ts";
import { type CompiledFilter, filterFlags } from "./filter.ts";
import { PRECOMPILED } from "./precompiled_table.ts";
import { ACTIONS, returnValue } from "./profile.ts";
import { DEFAULT_TEMPLATES } from "./template_table.ts";

/** The one of Docker's default capabilities that the profile looks at. */
const USUAL = "CAP_SYS_CHROOT";
const ADMIN = "CAP_SYS_ADMIN";
/** What a call gets that no rule allows. */
const REFUSED = returnValue("SCMP_ACT_ERRNO", 1);

/**
 * Docker's default profile, on Linux 4.8 or newer.
 * @param capabilities the bounding set
 * @param machine whose kernel is to run it; default: this one's
 */
export function defaultFilter(
  capabilities: readonly string[],
  machine: "x64" | "arm64" = process.arch === "arm64" ? "arm64" : "x64",
): CompiledFilter {
  const templates = DEFAULT_TEMPLATES[machine];
  const isAdmin = capabilities.includes(ADMIN);
  const { program: text, places } = isAdmin ? templates.admin : templates.usual;
  const granted = Object.keys(places).filter((name) => capabilities.includes(name));
  if (!isAdmin && granted.length === 1 && granted[0] === USUAL) {
    const program = Uint8Array.fromBase64(PRECOMPILED[machine].program);
    return { program, ...filterFlags({}) };
  }
  const program = Uint8Array.fromBase64(text);
  const view = new DataView(program.buffer);
  for (const name in places) {
    const value = granted.includes(name) ? ACTIONS.SCMP_ACT_ALLOW : REFUSED;
    // sock_filter.k
    for (const index of places[name] ?? [])
      view.setUint32(index * SOCK_FILTER_SIZE + 4, value, true);
  }
  return { program, ...filterFlags({}) };
}
