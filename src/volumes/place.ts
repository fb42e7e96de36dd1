/** Where what is in a volume is: what the options of the local driver mean (moby: volume/local, setOpts and mount). */
import { MydockerError } from "../errors.ts";
import type { Volume } from "./volume.ts";

/** A directory of the host. */
export interface VolumeDirectory {
  readonly kind: "directory";
  readonly path: string;
  /** with what is mounted below it */
  readonly recursive: boolean;
  readonly readonly: boolean;
}

/** A file system that is mounted in each container that has the volume. */
export interface VolumeFileSystem {
  readonly kind: "mount";
  readonly type: string;
  readonly source: string;
  /** of mount(8) */
  readonly options: readonly string[];
}

/** One or the other. */
export type VolumePlace = VolumeDirectory | VolumeFileSystem;

/**
 * @param data the volume's own directory, for one without options
 * @throws {MydockerError} for a bind of what is no path
 */
export function placeOf({ name, options }: Volume, data: string): VolumePlace {
  const { type = "", device = "", o = "" } = options;
  if (type === "") return { kind: "directory", path: data, recursive: true, readonly: false };
  const words = o.split(",").filter((word) => word !== "");
  const bind = words.find((word) => word === "bind" || word === "rbind");
  if (bind === undefined && type !== "bind") {
    return { kind: "mount", type, source: device, options: words };
  }
  if (!device.startsWith("/")) {
    throw new MydockerError(`the device of volume ${name} is no absolute path: ${device}`, {
      exitCode: 125,
    });
  }
  const [recursive, readonly] = [bind === "rbind", words.includes("ro")];
  return { kind: "directory", path: device, recursive, readonly };
}
