/** Archives as `docker save` writes them: a `manifest.json` that names files in the archive (moby, image/tarexport). */
import { decodeBytes } from "../ffi/bytes.ts";
import { type ArchiveFiles, readSmall } from "./archive_files.ts";
import { parseImageConfig } from "./image_config.ts";
import { sha256Hex } from "./layout.ts";
import {
  ArchiveError,
  archivedName,
  checkLoadable,
  isObject,
  type PlannedImage,
} from "./load_plan.ts";
import { quoteName } from "./tar_header.ts";

/** Where the list of images is. */
export const DOCKER_MANIFEST_FILE = "manifest.json";
/** A file that is called by its digest, as in an OCI image layout. */
const BLOB = /^blobs\/sha256\/([a-f0-9]{64})$/;
/** A configuration that is called by its digest, as Docker always did. */
const CONFIG = /^([a-f0-9]{64})\.json$/;

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === "string");

/** The images of such an archive; undefined when it is none. @throws {ArchiveError} */
export function readDockerArchive(files: ArchiveFiles): PlannedImage[] | undefined {
  const bytes = readSmall(files, DOCKER_MANIFEST_FILE);
  if (bytes === undefined) return undefined;
  let list: unknown;
  try {
    list = JSON.parse(decodeBytes(bytes));
  } catch (cause) {
    throw new ArchiveError(`${DOCKER_MANIFEST_FILE} in the archive is not JSON`, { cause });
  }
  if (!Array.isArray(list))
    throw new ArchiveError(`${DOCKER_MANIFEST_FILE} in the archive is no list of images`);
  return list.map((item, index) => readImage(files, item, `${DOCKER_MANIFEST_FILE}[${index}]`));
}

function readImage(files: ArchiveFiles, item: unknown, where: string): PlannedImage {
  const bad = (why: string) => new ArchiveError(`${where} in the archive ${why}`);
  if (!isObject(item)) throw bad("is no object");
  const { Config: configFile, Layers: layers } = item;
  const tags = item["RepoTags"] ?? [];
  if (typeof configFile !== "string") throw bad('has no "Config"');
  if (!isStrings(layers)) throw bad('has no "Layers"');
  if (!isStrings(tags)) throw bad('has bad "RepoTags"');
  const bytes = readSmall(files, configFile);
  if (bytes === undefined)
    throw bad(`names a configuration ${quoteName(configFile)} that is not in the archive`);
  const hex = sha256Hex(bytes);
  const said = BLOB.exec(configFile)?.[1] ?? CONFIG.exec(configFile)?.[1];
  if (said !== undefined && said !== hex)
    throw new ArchiveError(`${quoteName(configFile)} in the archive does not have that digest`);
  const config = parseImageConfig(bytes);
  checkLoadable(config, where);
  const diffIds = config.rootfs.diff_ids;
  if (layers.length !== diffIds.length)
    throw bad(
      `is invalid: layers length mismatch: expected ${diffIds.length}, got ${layers.length}`,
    );
  return {
    id: `sha256:${hex}`,
    config: bytes,
    names: tags.map(archivedName),
    layers: layers.map((file, index) => {
      const digest = BLOB.exec(file)?.[1];
      return {
        file,
        diffId: diffIds[index] as string,
        ...(digest === undefined ? {} : { digest: `sha256:${digest}` }),
      };
    }),
  };
}
