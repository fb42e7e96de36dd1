/** `login`: whether a registry lets us in, and what is remembered of that. */
import type { Credentials } from "./credentials.ts";
import { Registry, type RegistryOptions } from "./registry.ts";

/** Docker's own registry, where nothing else is said. */
export const DEFAULT_REGISTRY = "docker.io";

/** The registry that an argument of `login` means: also an address with a scheme and a path (registry.ConvertToHostname). */
export function registryDomain(text: string): string {
  const host = text.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return host === "" || /^(?:index|registry-1)\.docker\.io$/.test(host) ? DEFAULT_REGISTRY : host;
}

/**
 * Asks a registry whether it knows us. Nothing is remembered.
 * @returns what to remember: a token instead of the password, if it gives one
 * @throws {UnauthorizedError} @throws {ConnectionError} @throws {MydockerError}
 */
export async function checkLogin(
  domain: string,
  given: Credentials,
  how: RegistryOptions = {},
): Promise<Credentials> {
  const registry = new Registry(domain, {
    ...how,
    login: true,
    credentials: () => Promise.resolve(given),
  });
  await registry.ping();
  const { identityToken } = registry;
  return identityToken === undefined ? given : { ...given, identityToken };
}
