/** A short visit to a namespace that exists. */
import { close, O, open } from "../linux/fd.ts";
import { CLONE, setns } from "../linux/process.ts";

/**
 * Does something with the calling thread in another network namespace, synchronously: sockets that
 * it makes stay there.
 * @param namespace descriptor of the namespace
 */
export function inNetworkNamespace<T>(namespace: number, act: () => T): T {
  const own = open("/proc/thread-self/ns/net", O.O_RDONLY);
  try {
    setns(namespace, CLONE.CLONE_NEWNET);
    try {
      return act();
    } finally {
      setns(own, CLONE.CLONE_NEWNET);
    }
  } finally {
    close(own);
  }
}
