import { defineCommand, requireRoot } from "../../command.ts";

/** How many containers are stopped at once. */
const AT_ONCE = 32;

/** `mydocker system shutdown`. */
export const command = defineCommand({
  options: {},
  positionals: { usage: "", min: 0, max: 0 },
  async run() {
    requireRoot("mydocker system shutdown");
    const { containersToStop } = await import("../../../engine/boot.ts");
    const { statePaths } = await import("../../../paths.ts");
    const ids = containersToStop(statePaths());
    let allStopped = true;
    // Each may take its ten seconds: in processes of their own they take them together.
    const stopOneAfterTheOther = async (): Promise<void> => {
      for (let id = ids.shift(); id !== undefined; id = ids.shift()) {
        const child = Bun.spawn([process.execPath, "stop", "--until-boot", id], {
          stdio: ["ignore", "inherit", "inherit"],
        });
        if ((await child.exited) !== 0) allStopped = false;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, stopOneAfterTheOther));
    return allStopped ? 0 : 1;
  },
});
