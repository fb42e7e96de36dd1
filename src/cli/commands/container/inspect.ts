import { MydockerError, NotFoundError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { FORMAT_OPTION, inspectEach } from "../../inspect_each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** What there is to be looked up, in the order in which it is tried. */
const TYPES = ["container", "image", "volume"] as const;
type Type = (typeof TYPES)[number];

/** `mydocker inspect`. */
export const command = defineCommand({
  options: {
    format: FORMAT_OPTION,
    run: { type: "boolean", description: "Print the command line that makes such a container" },
    size: { type: "boolean", short: "s", description: "Say what a container takes on disk, too" },
    type: {
      type: "value",
      value: "type",
      description: "Of what kind it is: container, image or volume",
      complete: TYPES,
    },
  },
  positionals: {
    usage: "NAME|ID [NAME|ID...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  async run({ values: { format, run, size, type }, positionals }) {
    requireRoot("mydocker inspect");
    const types = type === undefined || type === "" ? TYPES : [typeOf(type)];
    if (run) return await printRunLines(positionals);
    return await inspectEach(positionals, format, (name) => find(name, types, size));
  },
});

function typeOf(text: string): Type {
  const type = TYPES.find((each) => each === text);
  if (type === undefined) throw new MydockerError(`"${text}" is not a valid value for --type`);
  return type;
}

/** @throws {NotFoundError} in Docker's words when nothing is called so */
async function find(name: string, types: readonly Type[], size: boolean): Promise<object> {
  for (const type of types) {
    try {
      return await LOOK_UP[type](name, size);
    } catch (error) {
      if (!(error instanceof NotFoundError) || types.length === 1) throw error;
    }
  }
  throw new NotFoundError(`No such object: ${name}`);
}

const LOOK_UP: Readonly<Record<Type, (name: string, size: boolean) => Promise<object>>> = {
  container: async (name, size) => {
    const { inspectContainer } = await import("../../../engine/lifecycle_inspect.ts");
    const { statePaths } = await import("../../../paths.ts");
    return inspectContainer(statePaths(), name, size);
  },
  image: async (name) => {
    const { findImage } = await import("../../found_image.ts");
    const { inspectImage } = await import("../../../images/inspect.ts");
    const { InvalidReferenceError } = await import("../../../images/reference.ts");
    try {
      const { store, image } = await findImage(name);
      return inspectImage(store, image);
    } catch (error) {
      // What no image can be called is no image.
      if (!(error instanceof InvalidReferenceError)) throw error;
      throw new NotFoundError(`No such image: ${name}`, { cause: error });
    }
  },
  volume: async (name) => {
    const { inspectVolume } = await import("../../../engine/volume_commands.ts");
    const { volumeShape } = await import("../../volume_rows.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { volume, mountpoint } = inspectVolume(statePaths(), name);
    return volumeShape(volume, mountpoint);
  },
};

async function printRunLines(names: readonly string[]): Promise<number> {
  const { findContainer, recordOf } = await import("../../../engine/lifecycle_process.ts");
  const { runLine } = await import("../../run_line.ts");
  const { statePaths } = await import("../../../paths.ts");
  return await forEachArgument(
    names,
    async (name) => await print(`${runLine(recordOf(findContainer(statePaths(), name)))}\n`),
    reportError,
  );
}
