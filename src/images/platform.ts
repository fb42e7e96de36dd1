/** Platforms as Docker writes them, `linux/arm64/v8`, and which image of an index is for one. */
import { MydockerError } from "../errors.ts";
import type { IndexEntry, Platform } from "./manifest.ts";

/** Other names of architectures, and the variant that goes without saying (containerd's platforms). */
const ARCHITECTURES: Readonly<Record<string, Omit<Platform, "os">>> = {
  x86_64: { architecture: "amd64" },
  "x86-64": { architecture: "amd64" },
  amd64: { architecture: "amd64" },
  aarch64: { architecture: "arm64", variant: "v8" },
  arm64: { architecture: "arm64", variant: "v8" },
  armhf: { architecture: "arm", variant: "v7" },
  armel: { architecture: "arm", variant: "v6" },
  arm: { architecture: "arm", variant: "v7" },
  i386: { architecture: "386" },
};

/** Variants of arm that a machine runs besides its own, the best first. */
const ARM = ["v8", "v7", "v6", "v5"];

/** This machine's. */
export function hostPlatform(): Platform {
  return normalizePlatform({
    os: "linux",
    architecture: process.arch === "x64" ? "amd64" : process.arch,
  });
}

/** With the names that images use, and the variant that goes without saying. */
export function normalizePlatform({ os, architecture, variant }: Platform): Platform {
  const usual = ARCHITECTURES[architecture.toLowerCase()] ?? {
    architecture: architecture.toLowerCase(),
  };
  const chosen = variant === undefined || variant === "" ? usual.variant : variant.toLowerCase();
  // amd64/v1 is amd64.
  const plain = usual.architecture === "amd64" && chosen === "v1" ? undefined : chosen;
  return {
    os: os.toLowerCase(),
    architecture: usual.architecture,
    ...(plain === undefined ? {} : { variant: plain }),
  };
}

/**
 * Reads `os/arch[/variant]`, `arch`, or `os`.
 * @throws {MydockerError}
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  if (parts.length > 3 || !parts.every((part) => /^[A-Za-z0-9_.-]+$/.test(part)))
    throw new MydockerError(
      `invalid platform ${JSON.stringify(text)}: it is os/arch or os/arch/variant`,
    );
  const [first = "", second, variant] = parts;
  if (second === undefined)
    return first.toLowerCase() === "linux"
      ? hostPlatform()
      : normalizePlatform({ os: "linux", architecture: first });
  return normalizePlatform({
    os: first,
    architecture: second,
    ...(variant === undefined ? {} : { variant }),
  });
}

/** `linux/arm64/v8` */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join("/");
}

/** Variants that do for `wanted`, the best first. */
function variants({ architecture, variant }: Platform): readonly (string | undefined)[] {
  if (architecture === "arm") return ARM.slice(Math.max(0, ARM.indexOf(variant ?? "v7")));
  return [variant];
}

/** Whether an image for `offered` runs where `wanted` is asked for. */
export function platformMatches(wanted: Platform, offered: Platform): boolean {
  const other = normalizePlatform(offered);
  return (
    other.os === wanted.os &&
    other.architecture === wanted.architecture &&
    variants(wanted).includes(other.variant)
  );
}

/** The image of an index that is the best for a platform. */
export function chooseEntry(
  entries: readonly IndexEntry[],
  wanted: Platform,
): IndexEntry | undefined {
  for (const variant of variants(wanted)) {
    const found = entries.find(({ platform }) => {
      if (platform === undefined) return false;
      const other = normalizePlatform(platform);
      return (
        other.os === wanted.os &&
        other.architecture === wanted.architecture &&
        other.variant === variant
      );
    });
    if (found !== undefined) return found;
  }
  return undefined;
}
