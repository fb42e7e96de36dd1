/** Why a file of ours that was to be JSON cannot be used. */
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";

/**
 * What reading or parsing threw, in words: for "PATH is damaged: …". A parser of a file's contents
 * throws a TypeError for what is not as it should be.
 * @throws what is none of these, as it is
 */
export function whyDamaged(error: unknown): string {
  if (error instanceof SyntaxError) return "it is not JSON";
  if (error instanceof TypeError) return error.message;
  if (error instanceof SysError) return errnoText(error.errno);
  throw error;
}
