/** The resolver of a container that came onto a network with names after it had started. */
import { close, O, open } from "../linux/fd.ts";
import { Resolver } from "../network/resolver.ts";
import type { CreatedContainer } from "./create.ts";
import { serversFor } from "./network_join.ts";

/** @param pid its first process */
export function openResolver({ paths, record }: CreatedContainer, pid: number): Resolver {
  const namespace = open(`/proc/${pid}/ns/net`, O.O_RDONLY);
  try {
    const options = { paths, id: record.id, servers: serversFor(record.options) };
    return new Resolver(options, namespace);
  } finally {
    close(namespace);
  }
}
