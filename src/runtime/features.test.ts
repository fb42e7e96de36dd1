import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { schemaProblems } from "../../test/helpers/json_schema.ts";
import { leastConfig, put, stepsOf } from "../../test/helpers/oci_config.ts";
import { program, SHARED_DATA, sharedData, testIf } from "../../test/helpers/requires.ts";
import { parseOptions } from "../rootfs/options.ts";
import { ociFeatures } from "./features.ts";
import { parseConfig } from "./validate.ts";

interface Features {
  readonly ociVersionMin: string;
  readonly ociVersionMax: string;
  readonly hooks: readonly string[];
  readonly mountOptions: readonly string[];
  readonly linux: {
    readonly namespaces: readonly string[];
    readonly capabilities: readonly string[];
    readonly seccomp: Readonly<Record<"actions" | "operators" | "archs" | "knownFlags", string[]>>;
  };
}

const features = ociFeatures() as Features;

/** Reads the least configuration with one more value in it. @returns the warnings */
function take(path: string, value: unknown): string[] {
  const config = leastConfig();
  put(config, stepsOf(path), value);
  const warnings: string[] = [];
  parseConfig(JSON.stringify(config), (message) => warnings.push(message));
  return warnings;
}

describe("what features tells is what a configuration may have", () => {
  test.each([features.ociVersionMin, features.ociVersionMax])("version %s", (version) => {
    expect(take("ociVersion", version)).toEqual([]);
  });

  test("hooks", () => {
    for (const place of features.hooks) {
      const config = leastConfig();
      put(config, ["hooks", place], [{ path: "/bin/true" }]);
      expect(Object.keys(parseConfig(JSON.stringify(config)).hooks)).toEqual([place]);
    }
    expect(features.hooks).toHaveLength(6);
  });

  test("mount options: none of them is left to the file system", () => {
    expect(parseOptions(features.mountOptions).data).toEqual([]);
    expect(features.mountOptions).toContain("rro");
  });

  test("namespaces", () => {
    for (const type of features.linux.namespaces.filter((name) => name !== "mount"))
      expect(take("linux.namespaces[1]", { type, path: "/proc/self/ns/x" })).toEqual([]);
    expect(features.linux.namespaces).toHaveLength(8);
  });

  test("capabilities: none of them is unknown", () => {
    const { capabilities } = features.linux;
    expect(take("process.capabilities.bounding", capabilities)).toEqual([]);
    expect(capabilities).toHaveLength(41);
  });

  test("seccomp", () => {
    const { actions, operators, archs, knownFlags } = features.linux.seccomp;
    const isNotify = (name: string) => /NOTIFY|WAIT_KILLABLE/.test(name);
    const rules = actions
      .filter((action) => !isNotify(action))
      .map((action) => ({ names: ["read"], action }));
    const args = operators.map((op, index) => ({ index: index % 6, value: 1, op }));
    expect(
      take("linux.seccomp", {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: archs,
        flags: knownFlags.filter((flag) => !isNotify(flag)),
        syscalls: [...rules, { names: ["write"], action: "SCMP_ACT_LOG", args }],
      }),
    ).toEqual([]);
  });
});

testIf([sharedData("oci-schema/features-schema.json")], "features is of its schema", () => {
  const file = join(SHARED_DATA, "oci-schema/features-schema.json");
  expect(schemaProblems(file, JSON.parse(JSON.stringify(features)))).toEqual([]);
});

testIf([program("runc")], "features has what runc's has", () => {
  const theirs = JSON.parse(Bun.spawnSync(["runc", "features"]).stdout.toString()) as Features;
  expect(theirs.mountOptions.filter((name) => !features.mountOptions.includes(name))).toEqual([]);
  for (const key of ["namespaces", "capabilities"] as const)
    expect(features.linux[key]).toEqual(expect.arrayContaining([...theirs.linux[key]]));
});
