/** How a registry is reached: by TLS, unless it is on this machine; and whom TLS trusts. */
import { MydockerError } from "../errors.ts";
import { readDirectory } from "../linux/directory.ts";
import { ifExists, readFile } from "../linux/file.ts";

/** Docker's directory of certificates for a registry, and ours, which is looked at first. */
const CERTIFICATE_DIRECTORIES = ["/etc/mydocker/certs.d", "/etc/docker/certs.d"];
/** Where systems keep whom they trust; the first one that there is (Go's crypto/x509, root_linux.go). */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** What `fetch` is told of TLS. */
export interface TlsOptions {
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Whether a registry may be reached without TLS: localhost and 127.0.0.0/8, as for Docker, and ::1. */
export function isLocal(domain: string): boolean {
  const host = domain.replace(/:\d+$/, "");
  if (host.toLowerCase() === "localhost" || host === "[::1]") return true;
  const parts = host.split(".");
  return (
    parts.length === 4 &&
    parts[0] === "127" &&
    parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)
  );
}

/**
 * Certificates for a registry (Docker, "Verify repository client with certificates"): `*.crt` are
 * authorities, `NAME.cert` and `NAME.key` a client's.
 * @param verify false: whoever answers is believed
 * @throws {MydockerError} for a certificate without its key, or the other way round
 */
export function tlsOptions(
  domain: string,
  verify: boolean,
  directories: readonly string[] = CERTIFICATE_DIRECTORIES,
): TlsOptions {
  const authorities: string[] = [];
  let client: { cert: string; key: string } | undefined;
  for (const directory of directories.map((parent) => `${parent}/${domain}`)) {
    const names = ifExists(() => readDirectory(directory)) ?? [];
    for (const name of names.sort()) {
      const path = `${directory}/${name}`;
      if (name.endsWith(".crt")) authorities.push(readFile(path));
      else if (name.endsWith(".cert")) client ??= readPair(path, names);
      else if (name.endsWith(".key") && !names.includes(name.replace(/\.key$/, ".cert")))
        throw new MydockerError(`${path}: there is no certificate to this key`);
    }
  }
  if (!verify) return { ...client, rejectUnauthorized: false };
  // What is given replaces Bun's own list: so the system's is always given.
  const system = systemAuthorities();
  const ca = [...(system === undefined ? [] : [system]), ...authorities];
  return { ...client, ...(ca.length === 0 ? {} : { ca }) };
}

function readPair(path: string, names: readonly string[]): { cert: string; key: string } {
  const key = path.replace(/\.cert$/, ".key");
  if (!names.includes(key.slice(key.lastIndexOf("/") + 1)))
    throw new MydockerError(`${path}: there is no key to this certificate`);
  return { cert: readFile(path), key: readFile(key) };
}

function systemAuthorities(): string | undefined {
  const given = process.env["SSL_CERT_FILE"];
  for (const path of given ? [given] : SYSTEM_BUNDLES) {
    const text = ifExists(() => readFile(path));
    if (text !== undefined) return text;
  }
  return undefined;
}
