import { decodeBytes } from "../../../ffi/bytes.ts";
import type { FetchedManifest } from "../../../images/manifest_source.ts";
import type { Reference } from "../../../images/reference.ts";
import { defineCommand } from "../../command.ts";
import { print } from "../../output.ts";

/** `mydocker manifest inspect`. */
export const command = defineCommand({
  options: {
    insecure: { type: "boolean", description: "As --tls-verify=false" },
    "tls-verify": {
      type: "boolean",
      default: true,
      description: "Check the registry's certificate, and do not do without one; on by default",
    },
    verbose: {
      type: "boolean",
      short: "v",
      description: "Descriptors and platforms too, and the manifests of all platforms",
    },
  },
  positionals: { usage: "NAME[:TAG|@DIGEST]", min: 1, max: 1, complete: "image" },
  async run({ values, positionals: [name = ""] }) {
    const { fetchManifest } = await import("../../../images/manifest_source.ts");
    const { registryOf } = await import("../../../images/pull.ts");
    const { parseReference, withDefaultTag } = await import("../../../images/reference.ts");
    const reference = withDefaultTag(parseReference(name));
    const registry = registryOf(reference, {
      tlsVerify: values["tls-verify"] && !values.insecure,
    });
    const top = await fetchManifest(registry, reference);
    if (!values.verbose) {
      await print(pretty(JSON.parse(decodeBytes(top.bytes))));
      return;
    }
    if (top.document.kind === "manifest") {
      await print(pretty(described(reference, top)));
      return;
    }
    const all: unknown[] = [];
    for (const { digest, platform } of top.document.manifests) {
      const found = await fetchManifest(registry, reference, digest);
      const { domain, path } = reference;
      all.push(described({ domain, path, digest }, found, platform));
    }
    await print(pretty(all));
  },
});

const pretty = (value: unknown): string => `${JSON.stringify(value, null, "\t")}\n`;

/** In Docker's form (docker/cli: cli/manifest/types, ImageManifest). */
function described(reference: Reference, found: FetchedManifest, platform?: object) {
  const { domain, path, tag, digest } = reference;
  const suffix = digest === undefined ? `:${tag}` : `@${digest}`;
  return {
    Ref: `${domain}/${path}${suffix}`,
    Descriptor: {
      mediaType: found.mediaType,
      digest: found.digest,
      size: found.bytes.length,
      ...(platform === undefined ? {} : { platform }),
    },
    ...(found.mediaType.includes("oci")
      ? { OCIManifest: body(found) }
      : { SchemaV2Manifest: body(found) }),
  };
}

const body = ({ bytes }: FetchedManifest): unknown => JSON.parse(decodeBytes(bytes));
