/** `image inspect`: an image in Docker's shape (api/swagger.yaml, ImageInspect). */
import { ifExists, stat } from "../linux/file.ts";
import type { Image } from "./image.ts";
import type { ImageHistory, ImageRunConfig } from "./image_config.ts";
import { listNames } from "./names.ts";
import { familiarReference } from "./reference.ts";
import type { ImageStore } from "./store.ts";

/** What clients look for although an image does not say it (Go's empty values). */
const EMPTY_CONFIG = {
  Hostname: "",
  Domainname: "",
  User: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: null,
  Cmd: null,
  Image: "",
  Volumes: null,
  WorkingDir: "",
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};
/** A time that has not come (Go's zero time). */
const NEVER = "0001-01-01T00:00:00Z";

/** What is known of an image, in Docker's order of fields. */
export function inspectImage(store: ImageStore, image: Image): Record<string, unknown> {
  const { config, id } = image;
  const names = listNames(store.layout).names.filter((name) => name.id === id);
  const shown = (isDigest: boolean) =>
    names
      .filter(({ reference }) => (reference.digest !== undefined) === isDigest)
      .map(({ reference }) => familiarReference(reference))
      .sort();
  const tagged = names.flatMap(
    ({ reference }) => ifExists(() => stat(store.layout.name(reference)))?.mtime ?? [],
  );
  const last: ImageHistory | undefined = config.history?.at(-1);
  const [lowest, ...above] = image.layers;
  return {
    Id: id,
    RepoTags: shown(false),
    RepoDigests: shown(true),
    Parent: "",
    Comment: textOf(config, "comment") ?? last?.comment ?? "",
    Created: image.created === "" ? NEVER : image.created,
    DockerVersion: textOf(config, "docker_version") ?? "",
    Author: config.author ?? "",
    Config: withEmpty(config.config ?? {}),
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: image.size,
    VirtualSize: image.size,
    GraphDriver: {
      Name: "overlay2",
      Data: {
        ...(above.length === 0
          ? {}
          : { LowerDir: [...above.slice(0, -1).toReversed(), lowest].join(":") }),
        ...(lowest === undefined ? {} : { UpperDir: image.layers.at(-1) }),
      },
    },
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Metadata: {
      LastTagTime: tagged.length === 0 ? NEVER : new Date(Math.max(...tagged) * 1000).toISOString(),
    },
  };
}

/** Fields of Docker's own that the OCI specification does not have. */
function textOf(config: object, field: string): string | undefined {
  const value = (config as Readonly<Record<string, unknown>>)[field];
  return typeof value === "string" ? value : undefined;
}

const withEmpty = (config: ImageRunConfig): object => ({ ...EMPTY_CONFIG, ...config });
