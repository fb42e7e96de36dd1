/** A registry that is broken, or hostile: a clear error or success, and nothing kept that is wrong. */

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXECUTABLE, type Result, useEngine } from "../helpers/cli.ts";
import {
  type Answer,
  answer,
  type Fault,
  FaultyRegistry,
  type ImageOptions,
  sha256,
  testImage,
} from "../helpers/faulty_registry.ts";
import { root, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

let registry: FaultyRegistry;
let elsewhere: FaultyRegistry;
const results = new Map<string, Promise<Result>>();

const engine = useEngine({
  before: async () => {
    registry = await FaultyRegistry.start();
    elsewhere = await FaultyRegistry.start();
    elsewhere.routes.set("/token/good", answer(200, {}, '{"token": "token-of-the-test"}'));
    elsewhere.routes.set("/token/bad", answer(200, {}, "<html>"));
    if (root() !== undefined) return;
    // All at once: most of their time is waiting.
    for (const [name, { image, fault, env, reference }] of Object.entries(CASES)) {
      const whole = registry.add(name, testImage(image), fault);
      const pulled = reference?.(whole) ?? whole;
      results.set(name, engine.call(["pull", "-q", pulled], env === undefined ? {} : { env }));
    }
  },
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await elsewhere[Symbol.asyncDispose]();
});

interface Case {
  readonly image?: ImageOptions;
  readonly fault?: Fault;
  readonly env?: Readonly<Record<string, string>>;
  /** What is pulled, if not the plain name. */
  readonly reference?: (name: string) => string;
  /** What the error says; absent when it works. */
  readonly error?: RegExp;
  /** What else is to be seen. */
  readonly seen?: (name: string) => void;
}

const PATIENCE = { MYDOCKER_REGISTRY_TIMEOUT: "0.3" };
const onBlob =
  (change: (usual: Answer, before: number) => Partial<Answer>): Fault =>
  (asked, usual) =>
    asked.kind === "blob" && usual.body.length > 10_000
      ? { ...usual, ...change(usual, asked.before) }
      : usual;
const onManifest =
  (change: (usual: Answer, before: number) => Partial<Answer>): Fault =>
  (asked, usual) =>
    asked.kind === "manifest" ? { ...usual, ...change(usual, asked.before) } : usual;

function flipped(bytes: Uint8Array): Uint8Array {
  const at = bytes.length >> 1;
  return bytes.with(at, (bytes[at] as number) ^ 1);
}

const CASES: Readonly<Record<string, Case>> = {
  truncated: {
    // Each try ends in the middle, and none goes on where the last one was.
    fault: (asked, usual, whole) =>
      asked.kind === "blob" && whole.body.length > 10_000 ? { ...whole, cut: 50_000 } : usual,
    error: /the connection .*(?:broke|closed)|sent \d+ bytes of the blob/,
  },
  flipped: {
    fault: onBlob(({ body }) => ({ body: flipped(body) })),
    error: /sent something else for the blob sha256:[0-9a-f]{64}: it has the digest|damaged|layer/,
  },
  longer: {
    fault: onBlob(({ body }) => ({ body: Buffer.concat([body, Buffer.from("more")]) })),
    error: /sends \d+ bytes for the blob .*, of which the manifest says that it has \d+/,
  },
  shorter: {
    fault: onBlob(({ body }) => ({ body: body.subarray(4) })),
    error: /sends \d+ bytes for the blob .*, of which the manifest says that it has \d+/,
  },
  "blob-404": { fault: onBlob(() => answer(404, {}, "{}")), error: /status 404|not found/ },
  "manifest-404": {
    fault: onManifest(() =>
      answer(404, {}, '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'),
    ),
    error: /manifest for .*manifest-404:latest not found: manifest unknown: manifest unknown/,
  },
  "500-twice": {
    fault: onManifest((usual, before) => (before < 2 ? answer(500) : usual)),
    seen: (name) => expect(registry.asked(name, "manifest")).toHaveLength(3),
  },
  "429-once": {
    fault: onManifest((usual, before) =>
      before === 0 ? answer(429, { "Retry-After": "1" }) : usual,
    ),
    seen(name) {
      const [first, second] = registry.asked(name, "manifest");
      expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(950);
    },
  },
  "429-for-long": {
    fault: onManifest(() => answer(429, { "Retry-After": "3600" })),
    error: /answers 429 Too Many Requests: try again in 3600 seconds/,
    seen: (name) => expect(registry.asked(name)).toHaveLength(1),
  },
  "a-byte-a-second": {
    fault: onBlob(() => ({ pace: 1000 })),
    env: PATIENCE,
    error: /stalls: \d+ bytes in 0.3 seconds|no answer/,
  },
  silent: {
    fault: onManifest(() => ({ hold: { after: 0, until: new Promise(() => {}) } })),
    env: PATIENCE,
    error: /stalls|no answer/,
  },
  "redirect-loop": {
    fault: (asked, usual) =>
      asked.kind === "blob" ? answer(307, { Location: asked.target }) : usual,
    error: /redirects more than 10 times/,
  },
  "bad-token": {
    fault: () =>
      answer(401, {
        "WWW-Authenticate": `Bearer realm="http://${elsewhere.host}/token/bad",service="x"`,
      }),
    error: /the token service of .* gave no token/,
  },
  "token-refused": {
    fault: () =>
      answer(401, {
        "WWW-Authenticate": `Bearer realm="http://${elsewhere.host}/token/good",service="x"`,
      }),
    error: /pull access denied for .*token-refused:latest: unauthorized: authentication required/,
    seen(name) {
      const shown = registry.asked(name).map(({ headers }) => headers["authorization"]);
      expect(shown.at(-1)).toBe("Bearer token-of-the-test");
    },
  },
  token: {
    fault: (asked, usual) =>
      asked.headers["authorization"] === "Bearer token-of-the-test"
        ? usual
        : answer(401, {
            "WWW-Authenticate": `Bearer realm="http://${elsewhere.host}/token/good",service="x"`,
          }),
    seen: () =>
      expect(
        elsewhere.requests.some(({ target }) =>
          target.endsWith("/token/good?service=x&scope=repository%3Atoken%3Apull"),
        ),
      ).toBe(true),
  },
  "token-without-tls": {
    // The service's address is not one that a password could go to.
    fault: () => answer(401, { "WWW-Authenticate": 'Bearer realm="ftp://127.0.0.1/x"' }),
    error: /wants a token from .*, which is not reached by TLS/,
  },
  "huge-manifest": {
    fault: onManifest(() => ({ body: Buffer.alloc(5 << 20, " ") })),
    error: /the manifest of .* is larger than 4 MiB/,
  },
  "endless-manifest": {
    fault: onManifest(() => ({ body: Buffer.alloc(1 << 20, " "), endless: true })),
    error: /the manifest of .* is larger than 4 MiB/,
  },
  "endless-blob": {
    fault: onBlob(() => ({ endless: true })),
    error: /sends more than \d+ bytes for the blob/,
  },
  "other-manifest": {
    fault: onManifest(({ body }) => ({ body: Buffer.concat([body, Buffer.from(" ")]) })),
    error: /sent something else for the manifest of/,
  },
  "other-by-digest": {
    fault: onManifest(() => ({})),
    reference: (name) => `${name}@sha256:${"0".repeat(64)}`,
    error: /sent something else for the manifest of/,
  },
  ambiguous: {
    image: { edit: (manifest) => Object.assign(manifest, { manifests: [] }) },
    error: /is ambiguous: it is of type .*, but has "manifests"/,
  },
  "ambiguous-type": {
    fault: onManifest(({ headers }) => ({
      headers: { ...headers, "Content-Type": "application/vnd.oci.image.index.v1+json" },
    })),
    error: /is ambiguous: it says that it is of type .*, its registry says/,
  },
  "schema-1": {
    image: { edit: (manifest) => Object.assign(manifest, { schemaVersion: 1, fsLayers: [] }) },
    error: /is of Docker's schema 1, which is not supported/,
  },
  foreign: {
    image: { layerType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" },
    error:
      /has a layer that is not at its registry \(application.*foreign.*\), which is not supported/,
  },
  chart: {
    image: {
      edit: (manifest) =>
        Object.assign(manifest["config"] as object, {
          mediaType: "application/vnd.cncf.helm.config.v1+json",
        }),
    },
    error: /is not of a container image: its config is of type/,
  },
  "other-layer": {
    image: { diffId: `sha256:${"1".repeat(64)}` },
    error: /the layer .* is not what the image's configuration says/,
  },
  encoded: {
    fault: onBlob(({ headers, body }) => ({
      headers: { ...headers, "Content-Encoding": "gzip" },
      body: Bun.gzipSync(new Uint8Array(body)),
    })),
    error: /encoded as "gzip"|bytes for the blob/,
  },
  "not-gzip": {
    image: { compress: () => Buffer.alloc(20_000, "no archive") },
    error: /archive|tar|checksum/,
  },
  bomb: {
    image: { compress: () => Bun.zstdCompressSync(Buffer.alloc(400 << 20)) },
    error: /expands to more than|tar/,
  },
  "no-range": {
    // One that cannot go on begins anew.
    fault: (asked, usual, whole) =>
      asked.kind !== "blob" || whole.body.length < 10_000
        ? usual
        : asked.before === 0
          ? { ...whole, cut: 100_000 }
          : whole,
  },
  zstd: {
    image: {
      compress: (tar) => Bun.zstdCompressSync(new Uint8Array(tar)),
      layerType: "application/vnd.oci.image.layer.v1.tar+zstd",
    },
  },
  plain: {
    image: { compress: (tar) => tar, layerType: "application/vnd.oci.image.layer.v1.tar" },
  },
};

describe("a registry's fault", () => {
  for (const [name, { error, seen }] of Object.entries(CASES)) {
    testIf(
      [root()],
      name,
      async () => {
        const { err, out, exitCode } = (await results.get(name)) as Result;
        if (error === undefined) {
          expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
          expect(out).toContain(`${registry.host}/${name}`);
        } else {
          expect({ err, exitCode }).toEqual({ err: expect.stringMatching(error), exitCode: 1 });
          expect(err.split("\n")).toHaveLength(1);
        }
        seen?.(name);
      },
      30_000,
    );
  }
});

describe("afterwards", () => {
  const listed = (folder: string) => {
    const path = join(engine.root, "images", folder);
    return existsSync(path) ? readdirSync(path).sort() : [];
  };
  const good = Object.keys(CASES).filter((name) => CASES[name]?.error === undefined);

  testIf([root()], "what is here is what was right, and nothing else", async () => {
    await Promise.all(results.values());
    const { out } = await engine.call(["images", "--format", "{{.Repository}}"]);
    const names = out.split("\n").filter((name) => name.includes("/"));
    expect(names.sort()).toEqual(good.map((name) => `${registry.host}/${name}`).sort());
    const count = new Set(good).size;
    expect(listed("ids")).toHaveLength(count + 1); // and busybox
    expect(listed("layers")).toHaveLength(count + 1);
    expect(listed("blobs/sha256")).toHaveLength(count);
    expect(listed("tmp")).toEqual([]);
    for (const name of listed("blobs/sha256"))
      expect(sha256(readFileSync(join(engine.root, "images/blobs/sha256", name)))).toBe(
        `sha256:${name}`,
      );
  });

  testIf([root()], "only what broke off is kept, to go on with", async () => {
    await Promise.all(results.values());
    const broken = ["truncated", "a-byte-a-second"].flatMap((name) =>
      registry.asked(name, "blob").map(({ target }) => target.slice(target.lastIndexOf(":") + 1)),
    );
    const left = listed("downloads");
    expect(left.filter((name) => !broken.includes(name))).toEqual([]);
    expect(left).toContain(broken[1] ?? "");
  });
});

describe("credentials", () => {
  testIf([root()], "stay with the registry when it redirects elsewhere", async () => {
    const image = testImage();
    elsewhere.add("redirected", image);
    const name = registry.add("redirected", image, (asked, usual) =>
      asked.headers["authorization"] !== `Basic ${btoa("me:secret")}`
        ? answer(401, { "WWW-Authenticate": 'Basic realm="x"' })
        : asked.kind === "blob"
          ? answer(307, { Location: `http://${elsewhere.host}${asked.target}` })
          : usual,
    );
    const config = engine.directory("docker-config");
    writeFileSync(
      join(config, "config.json"),
      JSON.stringify({ auths: { [registry.host]: { auth: btoa("me:secret") } } }),
    );
    const { out, err } = await engine.call(["pull", "-q", name], {
      env: { DOCKER_CONFIG: config },
    });
    expect({ out, err }).toEqual({ out: `${name}:latest`, err: "" });
    const stolen = elsewhere.asked("redirected");
    expect(stolen).toHaveLength(2);
    for (const { headers } of stolen) expect(headers).not.toHaveProperty("authorization");
  });

  testIf([root()], "are not in what --debug shows", async () => {
    const config = engine.directory("docker-config");
    const { out, err } = await engine.call(["--debug", "pull", `${registry.host}/redirected`], {
      env: { DOCKER_CONFIG: config },
    });
    expect(`${out}${err}`).not.toContain("secret");
    expect(`${out}${err}`).not.toContain(btoa("me:secret"));
  });
});

describe("a pull", () => {
  const bigBlob = (until: Promise<unknown>): Fault =>
    onBlob((_, before) => (before === 0 ? { hold: { after: 500_000, until } } : {}));

  testIf(
    [root()],
    "that is killed leaves nothing that counts, and the next one goes on",
    async () => {
      const image = testImage({ size: 1_000_000 });
      const name = registry.add("killed", image, bigBlob(new Promise(() => {})));
      const download = join(engine.root, "images/downloads", image.layer.replace("sha256:", ""));
      const running = engine.start(["pull", name]);
      await waitFor("half a download", () => existsSync(download) && statSync(download).size > 1e5);
      running.kill("SIGKILL");
      await running.end();
      const images = await engine.call(["images", "-q", name]);
      expect({ out: images.out, exitCode: images.exitCode }).toEqual({ out: "", exitCode: 0 });
      expect(existsSync(join(engine.root, "images/tmp"))).toBe(false);
      const next = await engine.call(["pull", "-q", name]);
      expect({ out: next.out, err: next.err }).toEqual({ out: `${name}:latest`, err: "" });
      expect(registry.asked("killed", "blob").at(-1)?.headers["range"]).toMatch(
        /^bytes=[1-9]\d*-$/,
      );
      expect(existsSync(download)).toBe(false);
    },
  );

  testIf([root()], "whose connection is cut goes on from there", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const image = testImage({ size: 1_000_000 });
    const name = registry.add(
      "cut",
      image,
      onBlob((_, before) =>
        before === 0 ? { cut: 0, hold: { after: 500_000, until: promise } } : {},
      ),
    );
    const download = join(engine.root, "images/downloads", image.layer.replace("sha256:", ""));
    const running = engine.start(["pull", "-q", name]);
    await waitFor("half a download", () => existsSync(download) && statSync(download).size > 1e5);
    resolve();
    const { out, err } = await running.end();
    expect({ out, err }).toEqual({ out: `${name}:latest`, err: "" });
    const asked = registry
      .asked("cut", "blob")
      .filter(({ target }) => target.endsWith(image.layer));
    expect(asked.map(({ headers }) => headers["range"])).toEqual([
      undefined,
      expect.stringMatching(/^bytes=[1-9]\d*-$/),
    ]);
  });

  testIf(
    [root()],
    "asks for a large blob piece by piece, so that it is never all in memory",
    async () => {
      const image = testImage({
        size: 20_000_000,
        compress: (tar) => tar,
        layerType: "application/vnd.oci.image.layer.v1.tar",
      });
      const { out, err } = await engine.call(["pull", "-q", registry.add("large", image)]);
      expect({ out, err }).toEqual({ out: `${registry.host}/large:latest`, err: "" });
      const asked = registry
        .asked("large", "blob")
        .filter(({ target }) => target.endsWith(image.layer));
      expect(asked.map(({ headers }) => headers["range"])).toEqual([
        "bytes=0-16777215",
        "bytes=16777216-",
      ]);
    },
  );

  testIf(
    [root()],
    "does not keep a large blob in memory that a registry sends in one piece",
    async () => {
      const size = 240_000_000;
      const image = testImage({
        size,
        compress: (tar) => tar,
        layerType: "application/vnd.oci.image.layer.v1.tar",
      });
      const name = registry.add("one-piece", image, (_, usual, whole) =>
        usual.status === 206 ? whole : usual,
      );
      const child = Bun.spawn([EXECUTABLE, "pull", "-q", name], {
        env: engine.env,
        stdio: ["ignore", "ignore", "inherit"],
      });
      engine.track(child);
      let peak = 0; // not that of its resource usage, which begins with what we have ourselves
      while (child.exitCode === null) {
        peak = highestMemory(child.pid) ?? peak;
        await Bun.sleep(10);
      }
      expect(child.exitCode).toBe(0);
      expect(peak).toBeGreaterThan(10_000);
      expect(peak).toBeLessThan(200_000);
      await engine.call(["rmi", name]);
    },
    60_000,
  );

  testIf([root()], "beside another one of the same image downloads nothing twice", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const image = testImage({ size: 1_000_000 });
    const name = registry.add("twice", image, bigBlob(promise));
    const first = engine.start(["pull", name]);
    const second = engine.start(["pull", name]);
    const waits = /: Waiting/;
    await waitFor("one to wait", () => waits.test(first.output()) || waits.test(second.output()));
    resolve();
    for (const { exitCode, err } of await Promise.all([first.end(), second.end()]))
      expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(
      registry.asked("twice", "blob").filter(({ target }) => target.endsWith(image.layer)),
    ).toHaveLength(1);
  });
});

describe("search", () => {
  test("shows what a registry finds", async () => {
    const results = [
      { name: "few", description: "a\nline", star_count: 1, is_official: false },
      { name: "many", description: "x".repeat(60), star_count: 9, is_official: true },
    ];
    registry.routes.set("/v1/search", answer(200, {}, JSON.stringify({ results })));
    const { out, exitCode } = await engine.call(["search", `${registry.host}/word`]);
    expect({ lines: out.split("\n").map((line) => line.trimEnd()), exitCode }).toEqual({
      lines: [
        "NAME      DESCRIPTION                                     STARS     OFFICIAL   AUTOMATED",
        `many      ${"x".repeat(44)}…   9         [OK]`,
        "few       a line                                          1",
      ],
      exitCode: 0,
    });
    const official = ["search", "-f", "is-official=true", "--format", "{{.Name}}"];
    expect((await engine.call([...official, `${registry.host}/word`])).out).toBe("many");
  });
});

/** Kilobytes of memory that a process had at its peak; nothing of one that has just ended. */
function highestMemory(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}
