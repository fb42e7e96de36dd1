import { MydockerError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { print } from "../../output.ts";

/** `mydocker import`. */
export const command = defineCommand({
  options: {
    change: {
      type: "list",
      short: "c",
      value: "instruction",
      description: "Apply a Dockerfile instruction, such as 'CMD [\"sh\"]'",
    },
    message: {
      type: "value",
      short: "m",
      value: "text",
      description: "What the image's history says of it",
    },
  },
  positionals: { usage: "FILE|- [NAME[:TAG]]", min: 1, max: 2, complete: "file" },
  rules: { later: { platform: "" } },
  async run({ values, positionals: [file = "-", name] }) {
    requireRoot("mydocker import");
    const { importTar } = await import("../../../images/import.ts");
    const { openImageStore } = await import("../../../images/store.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { recover } = await import("../../../engine/recovery.ts");
    recover(statePaths());
    const { log } = await import("../../../log.ts");
    const { openArchive } = await import("../../archive.ts");
    if (/^https?:\/\//.test(file))
      throw new MydockerError("import from a URL is not supported by this version yet", {
        hint: `curl -L ${file} | mydocker import - NAME`,
      });
    using archive = openArchive(file === "-" ? undefined : file, {
      terminal: "redirect a file to it: mydocker import - NAME < rootfs.tar",
      directory: (path) => `tar -C ${path} -c . | mydocker import - NAME`,
    });
    const options = defined({ changes: values.change, message: values.message });
    const store = openImageStore(statePaths().root);
    const { id, warnings } = await importTar(store, archive.fd, name, options);
    const { recordEvent } = await import("../../../engine/events.ts");
    recordEvent(statePaths(), "image", "import", id, { name: name ?? id });
    for (const warning of warnings) log.warn(warning);
    await print(`${id}\n`);
  },
});
