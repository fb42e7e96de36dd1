import { MydockerError } from "../../../errors.ts";
import { SysError } from "../../../ffi/call.ts";
import { errnoText } from "../../../ffi/errno.ts";
import { defineCommand, requireRoot } from "../../command.ts";

/** `mydocker export`. */
export const command = defineCommand({
  options: {
    output: {
      type: "value",
      short: "o",
      value: "file",
      description: "Write to a file, instead of stdout",
      complete: "file",
    },
  },
  positionals: { usage: "CONTAINER", min: 1, max: 1, complete: "container" },
  async run({ values: { output }, positionals: [container = ""] }) {
    requireRoot("mydocker export");
    const { exportContainer } = await import("../../../engine/export.ts");
    const { findContainer, recordOf } = await import("../../../engine/lifecycle_process.ts");
    const { recordContainerEvent } = await import("../../../engine/events.ts");
    const { writeAll } = await import("../../../linux/fd.ts");
    const { log } = await import("../../../log.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { openOutput } = await import("../../output_file.ts");
    const found = findContainer(statePaths(), container);
    using file = openOutput(output, "name a file with -o, or redirect it");
    const write = (bytes: Uint8Array) => {
      try {
        writeAll(file.fd, bytes);
      } catch (cause) {
        if (!(cause instanceof SysError)) throw cause;
        const why = errnoText(cause.errno);
        throw new MydockerError(`cannot write to ${file.path}: ${why}`, { cause });
      }
    };
    exportContainer(found, write, (message) => log.warn(message));
    file.commit();
    recordContainerEvent(found.paths, recordOf(found), "export");
    return 0;
  },
});
