/** Values that Docker's daemon reads and not its command line. */
import { MydockerError, UsageError } from "../../errors.ts";

/** `parse`, of which a bad value is exit code 1, as everything that Docker's daemon refuses, and not 125. */
export function readLate<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (error instanceof UsageError) throw new MydockerError(error.message, { cause: error });
      throw error;
    }
  };
}
