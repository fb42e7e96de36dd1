/** The tags of a repository (distribution spec, "Listing Tags"). */
import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";
import { MANIFEST_LIMIT } from "./manifest.ts";
import { explain } from "./manifest_source.ts";
import { familiarName, parseReference, type Reference } from "./reference.ts";
import type { Registry } from "./registry.ts";
import { readSmall } from "./registry_request.ts";

/** Pages that are read at most. */
const PAGE_LIMIT = 1000;

/** All tags, in the registry's order. @throws {MydockerError} */
export async function listTags(registry: Registry, repository: Reference): Promise<string[]> {
  const tags: string[] = [];
  const shown = familiarName(repository);
  let path: string | undefined = `/v2/${repository.path}/tags/list`;
  for (let page = 0; path !== undefined; page++) {
    if (page === PAGE_LIMIT) throw new MydockerError(`the list of tags of ${shown} does not end`);
    let response: Response;
    try {
      const scopes = [`repository:${repository.path}:pull`];
      response = await registry.expect({ path, scopes }, [200]);
    } catch (error) {
      throw explain(error, repository);
    }
    const what = `the list of tags of ${shown}`;
    const bytes = await readSmall(response, MANIFEST_LIMIT, what, registry.reading);
    tags.push(...readTags(bytes, shown, what));
    path = nextPage(response.headers.get("link"), path);
  }
  return tags;
}

function readTags(bytes: Uint8Array, name: string, what: string): string[] {
  let tags: unknown;
  try {
    ({ tags } = JSON.parse(decodeBytes(bytes)));
  } catch (cause) {
    throw new MydockerError(`${what} is not JSON`, { cause });
  }
  if (tags === null || tags === undefined) return [];
  if (!Array.isArray(tags)) throw new MydockerError(`${what} is no list`);
  // They become names of files.
  for (const tag of tags) parseReference(`${name}:${tag}`);
  return tags;
}

/** The path of the next page (RFC 8288): only a path, so that it leads to no other host. */
function nextPage(link: string | null, current: string): string | undefined {
  const target = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(link ?? "")?.[1];
  if (target === undefined) return undefined;
  const base = new URL(current, "http://registry.invalid");
  const { pathname, search } = new URL(target, base);
  return `${pathname}${search}`;
}
