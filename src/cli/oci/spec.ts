/** `spec`: a config.json to start from. */
import { MydockerError } from "../../errors.ts";
import { encodeBytes } from "../../ffi/bytes.ts";
import { isErrno } from "../../ffi/call.ts";
import { close, O, open, writeAll } from "../../linux/fd.ts";
import { ociSpec } from "../../runtime/spec_template.ts";
import { defineOciCommand } from "./command.ts";

/** As runc's. */
export const command = defineOciCommand({
  description: "Write a first config.json",
  options: {
    bundle: { type: "value", short: "b", value: "DIR", description: "Where to write it" },
    rootless: { type: "boolean", description: "For a user who is not root" },
  },
  usage: "",
  min: 0,
  max: 0,
  run({ values: { bundle = ".", rootless } }) {
    const path = `${bundle}/config.json`;
    let fd: number;
    try {
      fd = open(path, O.O_WRONLY | O.O_CREAT | O.O_EXCL, 0o666);
    } catch (cause) {
      if (!isErrno(cause, "EEXIST")) throw cause;
      throw new MydockerError(`File config.json exists. Remove it first: ${path}`, { cause });
    }
    writeAll(fd, encodeBytes(`${JSON.stringify(ociSpec({ rootless }), null, "\t")}\n`));
    close(fd);
    return undefined;
  },
});
