/** Who we are at a registry, and whom we trust: Debian's docker-registry with passwords and TLS. */

import { describe, expect } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { useEngine } from "../helpers/cli.ts";
import { DockerRegistry, REGISTRY_REQUIREMENTS } from "../helpers/docker_registry.ts";
import { oddLayout } from "../helpers/oci_images.ts";
import { program, testIf } from "../helpers/requires.ts";
import { onTerminal } from "../helpers/terminal.ts";

const REQUIREMENTS = [...REGISTRY_REQUIREMENTS, program("htpasswd"), program("openssl")];
const ready = REQUIREMENTS.every((requirement) => requirement === undefined);
const USER = { name: "somebody", password: "pass:wörd" };
let registry: DockerRegistry;
let open: DockerRegistry;

const engine = useEngine({
  before: async () => {
    if (!ready) return;
    [registry, open] = await Promise.all([
      DockerRegistry.start(engine, "registry", { tls: true, user: USER }),
      DockerRegistry.start(engine, "open", { tls: true }),
    ]);
    registry.push(`oci:${oddLayout()}:odd`, "odd");
    open.push(`oci:${oddLayout()}:odd`, "odd");
  },
});

const withRegistry = (name: string, body: () => void | Promise<void>) =>
  testIf(REQUIREMENTS, name, body);

const config = () => join(engine.folder, ".docker/config.json");
const readConfig = () => JSON.parse(readFileSync(config(), "utf8"));

async function login(options: readonly string[], password?: string) {
  return await engine.call(
    ["login", ...options, registry.host],
    password === undefined ? {} : { stdin: password },
  );
}

const byStdin = (user: string = USER.name) => ["-u", user, "--password-stdin"];

describe("without a login", () => {
  withRegistry("pull and push are refused, and the way out is said", async () => {
    const { err, exitCode } = await engine.call(["pull", `${registry.host}/odd`]);
    expect({ err, exitCode }).toEqual({
      err: `mydocker: pull access denied for ${registry.host}/odd:latest: no basic auth credentials; it may not exist, or need \`mydocker login ${registry.host}\``,
      exitCode: 1,
    });
    await engine.call(["tag", "busybox", `${registry.host}/bb`]);
    const pushed = await engine.call(["push", `${registry.host}/bb`]);
    expect({ err: pushed.err, exitCode: pushed.exitCode }).toEqual({
      err: `mydocker: no basic auth credentials; it may need \`mydocker login ${registry.host}\``,
      exitCode: 1,
    });
  });
});

describe("login", () => {
  withRegistry("with a wrong password fails, and remembers nothing", async () => {
    const { err, exitCode } = await login(byStdin(), "wrong");
    expect({ err, exitCode }).toEqual({
      err: expect.stringMatching(/^mydocker: unauthorized: /),
      exitCode: 1,
    });
    expect(() => readConfig()).toThrow("ENOENT");
  });

  withRegistry("is refused where nobody can be asked, and with half of what it needs", async () => {
    expect((await login([], "")).err).toContain(
      "mydocker: Cannot perform an interactive login from a non TTY device",
    );
    expect((await login(["--password-stdin"], "x")).err).toContain(
      "Must provide --username with --password-stdin",
    );
    expect((await login(["-p", "x", ...byStdin()], "x")).err).toContain(
      "--password and --password-stdin are mutually exclusive",
    );
  });

  withRegistry("remembers in config.json what Docker does, and leaves the rest of it", async () => {
    mkdirSync(join(engine.folder, ".docker"), { recursive: true });
    writeFileSync(config(), '{"psFormat": "x", "auths": {"other.example": {"auth": "YTpi"}}}');
    const { out, err, exitCode } = await login(byStdin(), `${USER.password}\n`);
    expect({ out, exitCode }).toEqual({ out: "Login Succeeded", exitCode: 0 });
    expect(err).toContain(`the password is in ${config()}`);
    expect(readConfig()).toEqual({
      psFormat: "x",
      auths: {
        "other.example": { auth: "YTpi" },
        [registry.host]: {
          auth: Buffer.from(`${USER.name}:${USER.password}`).toString("base64"),
        },
      },
    });
    expect(statSync(config()).mode & 0o777).toBe(0o600);
    expect((await engine.call(["pull", "-q", `${registry.host}/odd`])).exitCode).toBe(0);
    expect((await engine.call(["push", "-q", `${registry.host}/bb`])).exitCode).toBe(0);
    expect(registry.manifest("bb:latest")).toContain("schemaVersion");
    expect((await login([])).out).toBe(
      "Authenticating with existing credentials...\nLogin Succeeded",
    );
  });

  withRegistry("logout forgets that registry alone", async () => {
    const { out } = await engine.call(["logout", `https://${registry.host}/v1/`]);
    expect(out).toBe(`Removing login credentials for ${registry.host}`);
    expect(readConfig()).toEqual({ psFormat: "x", auths: { "other.example": { auth: "YTpi" } } });
    expect((await engine.call(["logout", registry.host])).out).toBe(
      `Not logged in to ${registry.host}`,
    );
    expect((await engine.call(["pull", `${registry.host}/odd`])).exitCode).toBe(1);
  });

  withRegistry("asks on a terminal, which does not show the password", async () => {
    const session = onTerminal(engine, ["login", registry.host]);
    await session.waitForOutput(/Username: /);
    session.type(`${USER.name}\n`);
    await session.waitForOutput(/Password: /);
    session.type("wrong\x15pass:wördx\x7f\r");
    const { exitCode, output } = await session.end();
    expect({ exitCode, output }).toEqual({
      exitCode: 0,
      output: expect.stringContaining("Login Succeeded"),
    });
    expect(output).not.toContain("pass:");
    await engine.call(["logout", registry.host]);
  });

  withRegistry("^C at the password leaves the terminal as it was", async () => {
    const session = onTerminal(engine, ["login", "-u", USER.name, registry.host]);
    await session.waitForOutput(/Password: /);
    session.type("secret\x03");
    const { exitCode, output } = await session.end();
    expect({ exitCode, output }).toEqual({ exitCode: 130, output: expect.any(String) });
    expect(output).not.toContain("secret");
    expect(session.modes().local & 8).toBe(8); // ECHO
  });

  withRegistry("with a credential helper keeps nothing in config.json", async () => {
    const folder = engine.directory("helpers");
    const kept = join(folder, "kept");
    const helper = join(folder, "docker-credential-test");
    writeFileSync(
      helper,
      `#!/bin/sh
case $1 in
  store) cat > ${kept};;
  get) read -r server; [ "$server" = ${registry.host} ] && [ -e ${kept} ] && exec cat ${kept}
       echo credentials not found in native keychain; exit 1;;
  erase) rm ${kept};;
esac
`,
    );
    chmodSync(helper, 0o755);
    writeFileSync(config(), JSON.stringify({ credHelpers: { [registry.host]: "test" } }));
    const env = { PATH: `${folder}:${engine.env["PATH"]}` };
    const stdin = USER.password;
    const args = ["login", ...byStdin(), registry.host];
    expect((await engine.call(args, { env, stdin })).err).toBe("");
    expect(JSON.parse(readFileSync(kept, "utf8"))).toEqual({
      ServerURL: registry.host,
      Username: USER.name,
      Secret: USER.password,
    });
    expect(readConfig()).toEqual({ credHelpers: { [registry.host]: "test" } });
    await engine.call(["rmi", `${registry.host}/odd`]);
    const pulled = await engine.call(["pull", "-q", `${registry.host}/odd`], { env });
    expect(pulled.out).toBe(`${registry.host}/odd:latest`);
    const out = (await engine.call(["logout", registry.host], { env })).out;
    expect(out).toBe(`Removing login credentials for ${registry.host}`);
    const missing = await engine.call(["pull", "-q", `${registry.host}/odd`]);
    expect(missing.err).toContain("docker-credential-test");
    writeFileSync(config(), "{}");
  });
});

describe("TLS", () => {
  // Whom a loopback address is believed without is decided before any certificate: a name is not.
  const named = () => open.host.replace("127.0.0.1", "registry.test");
  const inside = (script: string, ...args: string[]) =>
    engine.bash(
      `exec unshare -m bash -euc '
         mount -t tmpfs none "$0/files/etc" 2>/dev/null || { mkdir -p "$0/files/etc"; mount -t tmpfs none "$0/files/etc"; }
         mkdir "$0/files/etc/upper" "$0/files/etc/work"
         mount -t overlay -o lowerdir=/etc,upperdir="$0/files/etc/upper",workdir="$0/files/etc/work" none /etc
         echo 127.0.0.1 registry.test >> /etc/hosts
         ${script}' "$0" "$@"`.replace('"$0" "$@"', `"${engine.folder}" "$@"`),
      { args },
    );
  const TLS = [...REQUIREMENTS, program("unshare")];

  testIf(TLS, "believes no certificate of strangers, unless told to", async () => {
    const refused = await inside(`exec "$MYDOCKER" pull ${named()}/odd`);
    expect({ err: refused.err, exitCode: refused.exitCode }).toEqual({
      err: `mydocker: cannot talk to ${named()}: its certificate is signed by an unknown authority; put its authority into /etc/docker/certs.d/${named()}/ca.crt, or use --tls-verify=false`,
      exitCode: 1,
    });
    const told = await inside(`exec "$MYDOCKER" pull -q --tls-verify=false ${named()}/odd`);
    expect({ out: told.out, err: told.err }).toEqual({ out: `${named()}/odd:latest`, err: "" });
  });

  testIf(TLS, "believes what certs.d has for that registry, and no other", async () => {
    const certificate = join(open.folder, "tls.crt");
    const place = (name: string) =>
      `mkdir -p /etc/docker/certs.d/${name}; cp ${certificate} /etc/docker/certs.d/${name}/ca.crt`;
    const other = await inside(`${place("other.test:1")}; exec "$MYDOCKER" pull ${named()}/odd`);
    expect(other.err).toContain("signed by an unknown authority");
    const right = await inside(`${place(named())}; exec "$MYDOCKER" pull -q ${named()}/odd`);
    expect({ out: right.out, err: right.err }).toEqual({ out: `${named()}/odd:latest`, err: "" });
  });

  testIf(
    TLS,
    "shows a registry that asks for one the client's certificate of certs.d",
    async () => {
      const guarded = await DockerRegistry.start(engine, "guarded", {
        tls: true,
        clients: true,
        data: open,
      });
      const host = guarded.host.replace("127.0.0.1", "registry.test");
      const place = (...files: readonly (readonly [from: string, to: string])[]) =>
        [["tls.crt", "ca.crt"] as const, ...files]
          .map(([from, to]) => `cp ${guarded.folder}/${from} /etc/docker/certs.d/${host}/${to}`)
          .join("; ");
      const pull = (...files: readonly (readonly [string, string])[]) =>
        inside(
          `mkdir -p /etc/docker/certs.d/${host}; ${place(...files)}; exec "$MYDOCKER" pull -q ${host}/odd`,
        );
      const pair = (name: string) =>
        [
          [`${name}.cert`, "client.cert"],
          [`${name}.key`, "client.key"],
        ] as const;
      const right = await pull(...pair("client"));
      expect({ out: right.out, err: right.err }).toEqual({ out: `${host}/odd:latest`, err: "" });
      for (const refused of [await pull(), await pull(...pair("stranger"))])
        expect({ err: refused.err, exitCode: refused.exitCode }).toEqual({
          err: `mydocker: cannot talk to ${host}: the TLS handshake failed; if it wants to know who we are, put a certificate and its key into /etc/docker/certs.d/${host}/client.cert and client.key; if it does not speak TLS, use --tls-verify=false`,
          exitCode: 1,
        });
      const [certificate, key] = pair("client");
      expect((await pull(certificate)).err).toBe(
        `mydocker: /etc/docker/certs.d/${host}/client.cert: there is no key to this certificate`,
      );
      expect((await pull(key)).err).toBe(
        `mydocker: /etc/docker/certs.d/${host}/client.key: there is no certificate to this key`,
      );
      await guarded.stop();
    },
  );
});
