import { defineCommand } from "../../command.ts";
import { print } from "../../output.ts";

/** `mydocker logout`. */
export const command = defineCommand({
  options: {},
  positionals: { usage: "[SERVER]", min: 0, max: 1 },
  async run({ positionals: [server = ""] }) {
    const { registryDomain } = await import("../../../images/login.ts");
    const { configKey, eraseCredentials } = await import("../../../images/credentials.ts");
    const domain = registryDomain(server);
    const known = await eraseCredentials(domain);
    // Docker's words for both.
    await print(
      known
        ? `Removing login credentials for ${configKey(domain)}\n`
        : `Not logged in to ${configKey(domain)}\n`,
    );
  },
});
