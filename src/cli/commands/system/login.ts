import { MydockerError } from "../../../errors.ts";
import { decodeBytes } from "../../../ffi/bytes.ts";
import type { Credentials } from "../../../images/credentials.ts";
import { readToEnd } from "../../../linux/file.ts";
import { defineCommand } from "../../command.ts";
import { print } from "../../output.ts";

/** Bytes of a password on stdin. */
const PASSWORD_LIMIT = 65536;

/** `mydocker login`. */
export const command = defineCommand({
  options: {
    username: { type: "value", short: "u", value: "name", description: "Who you are there" },
    password: {
      type: "value",
      short: "p",
      value: "text",
      description: "The password; others on this machine can see it: better --password-stdin",
    },
    "password-stdin": { type: "boolean", description: "Read the password from stdin" },
    "tls-verify": {
      type: "boolean",
      default: true,
      description: "Check the registry's certificate, and do not do without one; on by default",
    },
  },
  positionals: { usage: "[SERVER]", min: 0, max: 1 },
  async run({ values, positionals: [server = ""] }) {
    const { checkLogin, registryDomain } = await import("../../../images/login.ts");
    const { configPath, findCredentials, storeCredentials } = await import(
      "../../../images/credentials.ts"
    );
    const { log } = await import("../../../log.ts");
    const domain = registryDomain(server);
    const how = { tlsVerify: values["tls-verify"] };
    const given = givenPassword(values);
    if (values.password !== undefined)
      log.warn("a password among the arguments can be seen by others: use --password-stdin");
    if (values.username === undefined && given === undefined) {
      const known = await findCredentials(domain);
      if (known !== undefined) {
        await print("Authenticating with existing credentials...\n");
        try {
          await checkLogin(domain, known, how);
          await print("Login Succeeded\n");
          return;
        } catch (error) {
          if (!(error instanceof MydockerError)) throw error;
          log.warn(`that did not work: ${error.message}`);
        }
      }
    }
    const credentials = await ask(values.username, given);
    const found = await checkLogin(domain, credentials, how);
    if (await storeCredentials(domain, found))
      log.warn(
        `the password is in ${configPath()} for whoever can read that; a credential helper (credsStore there) keeps it better`,
      );
    await print("Login Succeeded\n");
  },
});

function givenPassword(values: {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly "password-stdin": boolean;
}): string | undefined {
  if (!values["password-stdin"]) return values.password;
  if (values.password !== undefined)
    throw new MydockerError("--password and --password-stdin are mutually exclusive");
  if (values.username === undefined)
    throw new MydockerError("Must provide --username with --password-stdin");
  // Without the end of its last line.
  return decodeBytes(readToEnd(0, PASSWORD_LIMIT)).replace(/\r?\n$/, "");
}

async function ask(user: string | undefined, given: string | undefined): Promise<Credentials> {
  if (user !== undefined && given !== undefined) return checked(user, given);
  const { isTerminal } = await import("../../../linux/tty.ts");
  if (!isTerminal(0))
    throw new MydockerError("Cannot perform an interactive login from a non TTY device", {
      hint: "say who you are with --username, and the password with --password-stdin",
    });
  const { readLine } = await import("../../confirm.ts");
  const { readSecret } = await import("../../secret_input.ts");
  if (user === undefined) await print("Username: ");
  return checked(user ?? readLine().trim(), given ?? readSecret("Password: "));
}

function checked(username: string, password: string): Credentials {
  if (username === "") throw new MydockerError("a user name is required");
  if (username.includes(":")) throw new MydockerError("a user name has no colon");
  if (password === "") throw new MydockerError("password is required");
  return { username, password };
}
