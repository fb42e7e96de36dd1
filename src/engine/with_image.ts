/** `run` and `create` of an image that may have to be fetched first. Loads what fetches it only then. */
import { MydockerError } from "../errors.ts";
import type { RunOptions } from "./run_options.ts";

/** No such image is here. */
export class MissingImageError extends MydockerError {
  override readonly name = "MissingImageError";

  /** @param image as the user named it */
  constructor(readonly image: string) {
    super(`No such image: ${image}`, {
      exitCode: 125,
      hint: "`mydocker images` lists what is here, `mydocker pull` fetches an image",
    });
  }
}

/**
 * Does what takes the image, fetching that before it (`--pull always`) or when it is missing.
 * @throws {MydockerError}
 */
export async function withImage<T>(options: RunOptions, act: () => Promise<T>): Promise<T> {
  const { pull = "missing", image } = options;
  if (pull === "always" && image !== undefined) await fetchFirst(options, image);
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof MissingImageError) || pull !== "missing") throw error;
    const { sayMissing } = await import("./pull_first.ts");
    sayMissing(error.image, options);
    await fetchFirst(options, error.image);
    return await act();
  }
}

async function fetchFirst(options: RunOptions, image: string): Promise<void> {
  const { pullFirst } = await import("./pull_first.ts");
  pullFirst(image, options);
}
