import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program, testIf } from "../../test/helpers/requires.ts";
import { ociSpec } from "./spec_template.ts";
import { parseConfig } from "./validate.ts";

/** What `runc spec` writes here. */
function runcSpec(...options: string[]): Record<string, unknown> {
  const bundle = mkdtempSync(join(tmpdir(), "mydocker-spec-"));
  try {
    const { exitCode, stderr } = Bun.spawnSync(["runc", "spec", "--bundle", bundle, ...options]);
    if (exitCode !== 0) throw new Error(stderr.toString());
    return JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
  } finally {
    rmSync(bundle, { recursive: true });
  }
}

describe("the configuration that spec writes", () => {
  test.each([false, true])("is one that is taken without a warning, rootless: %p", (rootless) => {
    const warnings: string[] = [];
    const text = JSON.stringify(ociSpec({ rootless, unifiedCgroups: true }));
    const spec = parseConfig(text, (message) => warnings.push(message));
    expect(warnings).toEqual([]);
    expect(spec.linux.namespaces.map(({ type }) => type)).toEqual(
      rootless
        ? ["pid", "ipc", "uts", "mount", "cgroup", "user"]
        : ["pid", "network", "ipc", "uts", "mount", "cgroup"],
    );
  });

  test("rootless maps the caller to root and mounts no ids that he has not", () => {
    const spec = parseConfig(JSON.stringify(ociSpec({ rootless: true, uid: 1000, gid: 100 })));
    expect(spec.linux.uidMappings).toEqual([{ containerID: 0, hostID: 1000, size: 1 }]);
    expect(spec.linux.gidMappings).toEqual([{ containerID: 0, hostID: 100, size: 1 }]);
    expect(spec.mounts.flatMap(({ options }) => options)).not.toContain("gid=5");
    expect(spec.mounts.find(({ destination }) => destination === "/sys")?.type).toBe("bind");
  });

  for (const options of [[], ["--rootless"]]) {
    testIf([program("runc")], `is runc's, with ${options.join() || "no option"}`, () => {
      const theirs = runcSpec(...options);
      const ours = ociSpec({ rootless: options.length > 0 });
      // Ours, and: runc before 1.2 had ambient capabilities that are never granted, because nothing
      // is inheritable.
      const { capabilities } = theirs["process"] as { capabilities: Record<string, unknown> };
      delete capabilities["ambient"];
      const expected = { ...theirs, ociVersion: "1.3.0", hostname: "mydocker" };
      expect(JSON.stringify(ours, null, 1)).toBe(JSON.stringify(expected, null, 1));
    });
  }
});
