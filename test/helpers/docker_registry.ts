/** Debian's docker-registry on loopback, with and without TLS and passwords, and skopeo, which fills and reads it. */

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Engine } from "./cli.ts";
import { type Daemon, untilReady } from "./daemon.ts";
import { output } from "./debian.ts";
import { program, type Requirement } from "./requires.ts";

/** What a registry in the tests needs. */
export const REGISTRY_REQUIREMENTS: readonly Requirement[] = [
  program("docker-registry"),
  program("skopeo"),
  program("umoci"),
];

/** A port of 127.0.0.1 that nobody listens at now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** How a registry is set up. */
export interface RegistryOptions {
  readonly tls?: boolean;
  readonly user?: { readonly name: string; readonly password: string };
  /** With `tls`: who comes needs a certificate, such as `client.cert` and `client.key` in its folder. */
  readonly clients?: boolean;
  /** Has what another one has. */
  readonly data?: DockerRegistry;
}

/** A registry that runs. */
export class DockerRegistry {
  private constructor(
    /** `127.0.0.1:PORT` */
    readonly host: string,
    readonly folder: string,
    private readonly daemon: Daemon,
    private readonly options: RegistryOptions,
  ) {}

  static async start(
    engine: Engine,
    name: string,
    options: RegistryOptions = {},
  ): Promise<DockerRegistry> {
    const folder = engine.directory(name);
    const host = `127.0.0.1:${await freePort()}`;
    if (options.tls === true) makeCertificate(folder);
    if (options.clients === true) makeClientCertificate(folder);
    if (options.user !== undefined) {
      const { name: user, password } = options.user;
      writeFileSync(join(folder, "htpasswd"), output(["htpasswd", "-Bbn", user, password]));
    }
    const clients = options.clients === true ? `, clientcas: [${folder}/tls.crt]` : "";
    const tls =
      options.tls === true
        ? `, tls: {certificate: ${folder}/tls.crt, key: ${folder}/tls.key${clients}}`
        : "";
    const data = join((options.data ?? { folder }).folder, "data");
    const auth =
      options.user === undefined
        ? ""
        : `auth: {htpasswd: {realm: test, path: ${folder}/htpasswd}}\n`;
    writeFileSync(
      join(folder, "config.yml"),
      `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${data}}, delete: {enabled: true}}\nhttp: {addr: "${host}", secret: test${tls}}\n${auth}`,
    );
    const logFile = join(folder, "log");
    // One description for both, or each would write over what the other wrote.
    const log = openSync(logFile, "a");
    const child = Bun.spawn(["docker-registry", "serve", join(folder, "config.yml")], {
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    engine.track(child);
    const daemon: Daemon = {
      pid: child.pid,
      log: () => (existsSync(logFile) ? readFileSync(logFile, "utf8") : ""),
      async stop() {
        child.kill("SIGTERM");
        await child.exited;
      },
    };
    const registry = new DockerRegistry(host, folder, daemon, options);
    await untilReady(daemon, async () => {
      try {
        const scheme = options.tls === true ? "https" : "http";
        const own =
          options.clients === true
            ? {
                cert: readFileSync(join(folder, "client.cert"), "utf8"),
                key: readFileSync(join(folder, "client.key"), "utf8"),
              }
            : {};
        await fetch(`${scheme}://${host}/v2/`, { tls: { rejectUnauthorized: false, ...own } });
        return true;
      } catch {
        return false;
      }
    });
    return registry;
  }

  /** Options of skopeo's for this registry as its source or its destination. */
  private skopeoOptions(side: "src" | "dest"): string[] {
    const { user } = this.options;
    return [
      `--${side}-tls-verify=false`,
      ...(user === undefined ? [] : [`--${side}-creds`, `${user.name}:${user.password}`]),
    ];
  }

  /** Fills it. @param source as for skopeo: `oci:DIRECTORY:NAME` @param name `x:tag` */
  push(source: string, name: string, ...options: string[]): void {
    output([
      ...["skopeo", "copy", "--quiet", ...options, ...this.skopeoOptions("dest")],
      ...[source, `docker://${this.host}/${name}`],
    ]);
  }

  /** Copies what it has into an OCI layout. */
  copyTo(name: string, directory: string, ...options: string[]): void {
    mkdirSync(directory, { recursive: true });
    output([
      ...["skopeo", "copy", "--quiet", ...options, ...this.skopeoOptions("src")],
      ...[`docker://${this.host}/${name}`, `oci:${directory}:copy`],
    ]);
  }

  /** A manifest as it has it. @param name `x:tag` */
  manifest(name: string): string {
    const command = ["skopeo", "inspect", "--raw", "--no-tags", "--tls-verify=false"];
    const { user } = this.options;
    const creds = user === undefined ? [] : ["--creds", `${user.name}:${user.password}`];
    return output([...command, ...creds, `docker://${this.host}/${name}`]);
  }

  /** Takes a blob away from all repositories, behind its back. */
  forget(repository: string, digest: string): void {
    const hex = digest.slice("sha256:".length);
    const { folder } = this;
    const store = join(folder, "data/docker/registry/v2");
    for (const path of [
      `${store}/repositories/${repository}/_layers/sha256/${hex}`,
      `${store}/blobs/sha256/${hex.slice(0, 2)}/${hex}`,
    ])
      rmSync(path, { recursive: true });
  }

  /** Everything that it wrote, its access log too. */
  log(): string {
    return this.daemon.log();
  }

  stop(): Promise<void> {
    return this.daemon.stop();
  }
}

/** `tls.crt` and `tls.key` for 127.0.0.1, signed by themselves. */
function makeCertificate(folder: string): void {
  output([
    ...["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"],
    ...["-keyout", join(folder, "tls.key"), "-out", join(folder, "tls.crt")],
    ...[
      "-subj",
      "/CN=127.0.0.1",
      "-addext",
      "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test",
    ],
  ]);
}

/** `client.cert` and `client.key`, signed by `tls.crt`; `stranger.*`, signed by themselves. */
function makeClientCertificate(folder: string): void {
  const at = (name: string) => join(folder, name);
  const key = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=client"];
  output([...key, "-keyout", at("client.key"), "-out", at("client.csr")]);
  output([
    ...["openssl", "x509", "-req", "-in", at("client.csr"), "-out", at("client.cert")],
    ...["-CA", at("tls.crt"), "-CAkey", at("tls.key"), "-set_serial", "7", "-days", "2"],
  ]);
  output([...key, "-x509", "-keyout", at("stranger.key"), "-out", at("stranger.cert")]);
}
