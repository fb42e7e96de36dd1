/**
 * Who we are at a registry: Docker's `config.json` and its credential helpers (docker/cli,
 * cli/config; docker-credential-helpers).
 */
import { MydockerError } from "../errors.ts";
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { ifExists, makeDirectories, readFileBytes } from "../linux/file.ts";
import { replaceFile } from "../linux/replace_file.ts";

/** A user with a password, or a token that stands for both. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** Of an OAuth2 login: exchanged for access tokens instead of the password. */
  readonly identityToken?: string;
}

/** `config.json`, of which we read these fields and leave the others as they are. */
interface DockerConfig {
  auths?: Record<string, Record<string, unknown>>;
  credsStore?: string;
  credHelpers?: Record<string, string>;
}

/** What Docker Hub is called in config.json, for reasons of history. */
const HUB_KEY = "https://index.docker.io/v1/";
/** What a helper says when it has nothing (credentials.errCredentialsNotFoundMessage). */
const NOT_FOUND = "credentials not found in native keychain";
/** The user name that says that a secret is an identity token (tokenUsername). */
const TOKEN_USER = "<token>";

/** The file's path: `$DOCKER_CONFIG` names its directory, else it is `~/.docker`. */
export function configPath(
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const directory = env["DOCKER_CONFIG"];
  return `${directory === undefined || directory === "" ? `${env["HOME"] ?? "/root"}/.docker` : directory}/config.json`;
}

/** The key of a registry in config.json. */
export function configKey(domain: string): string {
  return domain === "docker.io" || domain === "index.docker.io" ? HUB_KEY : domain;
}

/** `https://host:5000/v1/` → `host:5000`: keys are written in many ways (registry.ConvertToHostname). */
const hostOf = (key: string): string => key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function readConfig(path: string): DockerConfig {
  const bytes = ifExists(() => readFileBytes(path));
  if (bytes === undefined) return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(decodeBytes(bytes));
  } catch (cause) {
    throw new MydockerError(`${path} is not JSON`, { cause });
  }
  if (!isObject(parsed)) throw new MydockerError(`${path} is no JSON object`);
  const { auths, credsStore, credHelpers } = parsed;
  if (
    auths !== undefined &&
    auths !== null &&
    !(isObject(auths) && Object.values(auths).every(isObject))
  )
    throw new MydockerError(`${path}: "auths" is not what it should be`);
  if (credsStore !== undefined && typeof credsStore !== "string")
    throw new MydockerError(`${path}: "credsStore" is no string`);
  if (
    credHelpers !== undefined &&
    !(isObject(credHelpers) && Object.values(credHelpers).every((name) => typeof name === "string"))
  )
    throw new MydockerError(`${path}: "credHelpers" is not what it should be`);
  return parsed as DockerConfig;
}

/** The helper for a registry, if one is configured. */
function helperFor(config: DockerConfig, domain: string): string | undefined {
  const name =
    config.credHelpers?.[configKey(domain)] ?? config.credHelpers?.[domain] ?? config.credsStore;
  if (name === undefined || name === "") return undefined;
  // It becomes a part of a program's name.
  if (!/^[A-Za-z0-9_.-]+$/.test(name))
    throw new MydockerError(
      `${configPath()} names a bad credential helper: ${JSON.stringify(name)}`,
    );
  return `docker-credential-${name}`;
}

/** Runs a helper: what it is told on stdin, what it answers on stdout. */
async function callHelper(program: string, verb: string, input: string): Promise<string> {
  if (Bun.which(program) === null)
    throw new MydockerError(
      `the credential helper ${program}, which ${configPath()} names, is not in PATH`,
    );
  const child = Bun.spawn([program, verb], {
    stdin: new TextEncoder().encode(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code === 0) return out;
  const said = (out.trim() || err.trim()).split("\n")[0] ?? "";
  throw new MydockerError(
    said === NOT_FOUND ? NOT_FOUND : `${program} ${verb}: ${said || `exit code ${code}`}`,
  );
}

/** The credentials for a registry; undefined when there are none. @throws {MydockerError} */
export async function findCredentials(domain: string): Promise<Credentials | undefined> {
  const config = readConfig(configPath());
  const helper = helperFor(config, domain);
  if (helper !== undefined) {
    try {
      const answer: unknown = JSON.parse(await callHelper(helper, "get", configKey(domain)));
      if (
        !isObject(answer) ||
        typeof answer["Secret"] !== "string" ||
        typeof answer["Username"] !== "string"
      )
        throw new MydockerError(`${helper} get: the answer has no Username and Secret`);
      const { Username: username, Secret: secret } = answer;
      return username === TOKEN_USER
        ? { username: "", password: "", identityToken: secret as string }
        : { username: username as string, password: secret as string };
    } catch (error) {
      if (!(error instanceof MydockerError) || error.message !== NOT_FOUND) throw error;
    }
  }
  const key = configKey(domain);
  const auths = config.auths ?? {};
  const entry =
    auths[key] ?? Object.entries(auths).find(([name]) => hostOf(name) === hostOf(key))?.[1];
  return entry === undefined ? undefined : fromEntry(entry);
}

function fromEntry(entry: Readonly<Record<string, unknown>>): Credentials | undefined {
  const text = (field: string) =>
    typeof entry[field] === "string" ? (entry[field] as string) : "";
  const decoded = decodeBytes(Buffer.from(text("auth"), "base64"));
  const colon = decoded.indexOf(":");
  const username = colon === -1 ? text("username") : decoded.slice(0, colon);
  const password = colon === -1 ? text("password") : decoded.slice(colon + 1).replace(/\0+$/, "");
  const identityToken = text("identitytoken");
  if (username === "" && identityToken === "") return undefined;
  return { username, password, ...(identityToken === "" ? {} : { identityToken }) };
}

/**
 * Remembers who we are at a registry.
 * @returns whether the password is in the file for whoever can read it, not with a helper
 */
export async function storeCredentials(domain: string, given: Credentials): Promise<boolean> {
  const path = configPath();
  const config = readConfig(path);
  const helper = helperFor(config, domain);
  const { username, password, identityToken } = given;
  if (helper !== undefined) {
    await callHelper(
      helper,
      "store",
      JSON.stringify({
        ServerURL: configKey(domain),
        Username: identityToken === undefined ? username : TOKEN_USER,
        Secret: identityToken ?? password,
      }),
    );
    return false;
  }
  const auth = Buffer.from(
    encodeBytes(`${username}:${identityToken === undefined ? password : ""}`),
  ).toString("base64");
  const entry = { auth, ...(identityToken === undefined ? {} : { identitytoken: identityToken }) };
  writeConfig(path, { ...config, auths: { ...config.auths, [configKey(domain)]: entry } });
  return true;
}

/** Forgets it. @returns whether there was anything */
export async function eraseCredentials(domain: string): Promise<boolean> {
  const path = configPath();
  const config = readConfig(path);
  const helper = helperFor(config, domain);
  let found = false;
  if (helper !== undefined) {
    try {
      await callHelper(helper, "get", configKey(domain));
      await callHelper(helper, "erase", configKey(domain));
      found = true;
    } catch (error) {
      if (!(error instanceof MydockerError) || error.message !== NOT_FOUND) throw error;
    }
  }
  const host = hostOf(configKey(domain));
  const left = Object.entries(config.auths ?? {}).filter(([name]) => hostOf(name) !== host);
  if (left.length === Object.keys(config.auths ?? {}).length) return found;
  writeConfig(path, { ...config, auths: Object.fromEntries(left) });
  return true;
}

function writeConfig(path: string, config: DockerConfig): void {
  makeDirectories(path.slice(0, path.lastIndexOf("/")));
  replaceFile(path, `${JSON.stringify(config, null, "\t")}\n`, { durable: true });
}
