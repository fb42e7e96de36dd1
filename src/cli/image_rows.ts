/** Images as the fields that `images` shows: a row for each name. */
import type { ListedImage } from "../images/listing.ts";
import { familiarName } from "../images/reference.ts";
import { humanAge, humanSize, listedTime } from "./human.ts";

/** What the table calls each field. */
export const IMAGE_HEADINGS = {
  Repository: "REPOSITORY",
  Tag: "TAG",
  Digest: "DIGEST",
  ID: "IMAGE ID",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  Size: "SIZE",
} as const;

/** The usual table. */
export const IMAGE_FORMAT =
  "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

/** One line of `images`, by field. */
export type ImageRow = Readonly<Record<keyof typeof IMAGE_HEADINGS, string>>;

const NONE = "<none>";

/** @param now milliseconds since 1970 */
export function imageRows({ image, references, size }: ListedImage, now: number, whole: boolean) {
  const named = references.length === 0 ? [undefined] : references;
  return named.map(
    (reference): ImageRow => ({
      Repository: reference === undefined ? NONE : familiarName(reference),
      Tag: reference?.tag ?? NONE,
      Digest: reference?.digest ?? NONE,
      ID: whole ? image.id : image.id.replace("sha256:", "").slice(0, 12),
      CreatedSince: image.created === "" ? "N/A" : `${humanAge(image.created, now)} ago`,
      CreatedAt: listedTime(image.created),
      Size: humanSize(size),
    }),
  );
}
