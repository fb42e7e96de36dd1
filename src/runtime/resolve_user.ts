/** Who a container's process runs as: the numbers of its configuration, or names in the container's own files. */
import { AccountError, type AccountRequest, homeOf, resolveAccount } from "./account.ts";
import type { ResolvedUser } from "./enter.ts";
import type { Process, Spec } from "./spec.ts";
import { StartError } from "./start_error.ts";

/**
 * The user with its environment, which has a HOME.
 * @param account replaces the numbers of the process
 * @param rootFd the container's root
 * @throws {StartError} for a name that there is not
 */
export function resolveUser(
  { user, env }: Pick<Process, "user" | "env">,
  account: AccountRequest | undefined,
  rootFd: number,
): ResolvedUser {
  const withHome = (home: () => string): readonly string[] =>
    env.some((entry) => entry.startsWith("HOME=")) ? env : [...env, `HOME=${home()}`];
  if (account === undefined) return { ...user, env: withHome(() => homeOf(rootFd, user.uid)) };
  try {
    const { home, ...found } = resolveAccount(rootFd, account);
    return { ...found, env: withHome(() => home) };
  } catch (error) {
    if (!(error instanceof AccountError)) throw error;
    throw new StartError(error.message, { exitCode: 125, cause: error });
  }
}

/** Nobody else can be: the kernel would say no more than EINVAL (setresuid(2)). */
export function mapped(
  user: ResolvedUser,
  { uidMappings, gidMappings }: Spec["linux"],
): ResolvedUser {
  const groups = [user.gid, ...user.additionalGids];
  for (const [what, ids, mappings] of [
    ["user", [user.uid], uidMappings],
    ["group", groups, gidMappings],
  ] as const) {
    if (mappings.length === 0) continue;
    const isMapped = (id: number) =>
      mappings.some(({ containerID, size }) => id >= containerID && id < containerID + size);
    const id = ids.find((each) => !isMapped(each));
    if (id === undefined) continue;
    const message = `${what} ${id} is not in the container's user namespace`;
    throw new StartError(message, { exitCode: 125 });
  }
  return user;
}
