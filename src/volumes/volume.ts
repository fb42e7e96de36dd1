/** What a volume is, and what is written down of one. */
import { MydockerError } from "../errors.ts";

/** A volume that is here. */
export interface Volume {
  readonly name: string;
  /** RFC 3339 */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `--opt` of the local driver: `type`, `o`, `device`; empty for a directory of our own */
  readonly options: Readonly<Record<string, string>>;
}

/** What marks a volume that was made without a name (moby: volume/service, AnonymousLabel). */
export const ANONYMOUS_LABEL = "com.docker.volume.anonymous";

/** Whether nobody gave it a name. */
export const isAnonymous = ({ labels }: Volume): boolean => Object.hasOwn(labels, ANONYMOUS_LABEL);

/** A volume whose files are not what they should be. Others are not affected. */
export class DamagedVolumeError extends MydockerError {
  override readonly name = "DamagedVolumeError";
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
/** Names of files may have 255 bytes. */
const NAME_LIMIT = 255;

/** Whether this can be a volume's name, and so a directory's. */
export const isVolumeName = (name: string): boolean => NAME.test(name) && name.length <= NAME_LIMIT;

/** Docker's rule (moby: volume/local). @throws {MydockerError} */
export function checkVolumeName(name: string): void {
  if (name.length === 1) {
    throw new MydockerError(
      `create ${name}: volume name is too short, names should be at least two alphanumeric characters`,
    );
  }
  if (name.length > NAME_LIMIT)
    throw new MydockerError(`create ${name}: volume name is longer than ${NAME_LIMIT} characters`);
  if (!NAME.test(name)) {
    const what = `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name`;
    throw new MydockerError(`${what}, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`, {
      hint: "If you intended to pass a host directory, use absolute path",
    });
  }
}

/** A name that nobody has. */
export function newVolumeName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return bytes.toHex();
}

/** Options of the local driver (moby: volume/local, validOpts and setOpts). @throws {MydockerError} */
export function checkVolumeOptions(options: Readonly<Record<string, string>>): void {
  const given = Object.keys(options);
  for (const key of given) {
    if (!["type", "o", "device"].includes(key)) {
      throw new MydockerError(`create volume: invalid option: ${JSON.stringify(key)}`, {
        hint: "the local driver has type, o and device",
      });
    }
  }
  if (given.length === 0) return;
  for (const key of ["device", "type"]) {
    if ((options[key] ?? "") === "")
      throw new MydockerError(`create volume: missing required option: ${JSON.stringify(key)}`);
  }
}

const isStringMap = (value: unknown): value is Record<string, string> =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).every((each) => typeof each === "string");

/** Reads `volume.json`. @throws {TypeError} says what is wrong */
export function parseVolume(value: unknown, name: string): Volume {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new TypeError("it is no object");
  const { created, labels, options } = value as Record<string, unknown>;
  const bad = (field: string) => new TypeError(`it has a bad field "${field}"`);
  if ((value as Record<string, unknown>)["name"] !== name) throw bad("name");
  if (typeof created !== "string" || Number.isNaN(Date.parse(created))) throw bad("created");
  if (!isStringMap(labels)) throw bad("labels");
  if (!isStringMap(options)) throw bad("options");
  return { name, created, labels, options };
}
