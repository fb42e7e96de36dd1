/** Images as the fields that `images` shows (docker/cli, cli/command/formatter/image.go). */
import type { ListedImage } from "../images/listing.ts";
import { familiarName, type Reference } from "../images/reference.ts";
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
  Containers: "CONTAINERS",
  VirtualSize: "SIZE",
  SharedSize: "SHARED SIZE",
  UniqueSize: "UNIQUE SIZE",
} as const;

/** The usual table. */
export const IMAGE_FORMAT =
  "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
/** The usual table with digests. */
export const IMAGE_DIGEST_FORMAT =
  "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

/** One line of `images`, by field. */
export type ImageRow = Readonly<Record<keyof typeof IMAGE_HEADINGS, string>>;

/** How images are shown. */
export interface ImageRowOptions {
  /** milliseconds since 1970 */
  readonly now: number;
  /** ids are not shortened */
  readonly whole: boolean;
  /** a name's digests are shown: a row for each of them */
  readonly digests: boolean;
}

const NONE = "<none>";

/** A row for each name of an image; digests of a repository that has tags are a column of theirs. */
export function imageRows(
  { image, references, size }: ListedImage,
  { now, whole, digests }: ImageRowOptions,
): ImageRow[] {
  const row = (Repository: string, Tag: string, Digest: string): ImageRow => ({
    Repository,
    Tag,
    Digest,
    ID: whole ? image.id : image.id.replace("sha256:", "").slice(0, 12),
    // What is not shown is not worked out, for each of a thousand images.
    get CreatedSince() {
      return image.created === "" ? "N/A" : `${humanAge(image.created, now)} ago`;
    },
    get CreatedAt() {
      return listedTime(image.created);
    },
    get Size() {
      return humanSize(size);
    },
    Containers: "N/A",
    get VirtualSize() {
      return humanSize(size);
    },
    SharedSize: "N/A",
    UniqueSize: "N/A",
  });
  if (references.length === 0) return [row(NONE, NONE, NONE)];
  const [only] = references;
  if (references.length === 1 && only?.tag !== undefined && only.digest === undefined)
    return [row(familiarName(only), only.tag, NONE)];
  const repositories = Map.groupBy(references, familiarName);
  return [...repositories].flatMap(([repository, names]) => {
    const known = digestsOf(names);
    const tags = names.flatMap(({ tag, digest }) =>
      tag !== undefined && digest === undefined ? [tag] : [],
    );
    if (tags.length === 0)
      return digests
        ? known.map((digest) => row(repository, NONE, digest))
        : [row(repository, NONE, "")];
    const shown = digests && known.length > 0 ? known : [NONE];
    return tags.flatMap((tag) => shown.map((digest) => row(repository, tag, digest)));
  });
}

const digestsOf = (names: readonly Reference[]): string[] =>
  names.flatMap(({ digest }) => digest ?? []);
