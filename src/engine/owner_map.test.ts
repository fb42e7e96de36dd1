import { expect, test } from "bun:test";
import { ownerMap } from "./owner_map.ts";

const LAST = 0xfffffffe;
const root = { uid: 0, gid: 0 };

/** What is shown of an id on disk. */
function shown(owner: number, user: number, range?: [hostID: number, size: number]) {
  const mapping = range && { containerID: 0, hostID: range[0], size: range[1] };
  const ids = mapping && { uid: mapping, gid: mapping };
  const map = ownerMap({ uid: owner, gid: owner }, { uid: user, gid: user }, ids);
  expect(map?.gidMappings).toEqual(map?.uidMappings as never);
  return (id: number): number | undefined => {
    if (map === undefined) return id;
    const found = map.uidMappings.filter(
      ({ containerID, size }) => id >= containerID && id < containerID + size,
    );
    expect(found.length).toBeLessThan(2); // else the kernel takes none
    return found[0] && found[0].hostID + id - found[0].containerID;
  };
}

test("what the container's user leaves belongs to the directory's owner", () => {
  for (const [owner, user] of [
    [1000, 0],
    [0, 1000],
    [1, 0],
    [1000, 1001],
    [LAST, 0],
    [1000, LAST],
  ] as const) {
    const of = shown(owner, user);
    expect(of(owner)).toBe(user);
    expect(of(user)).toBeUndefined(); // nobody's: not to be taken for the owner's
    for (const other of [2, 999, 65534, 70000, LAST - 1])
      if (other !== owner && other !== user) expect(of(other)).toBe(other);
  }
});

test("nothing is mapped when nothing changes", () => {
  expect(ownerMap(root, root)).toBeUndefined();
  expect(ownerMap({ uid: 7, gid: 8 }, { uid: 7, gid: 8 })).toBeUndefined();
  expect(ownerMap({ uid: 7, gid: 8 }, { uid: 7, gid: 9 })).toBeDefined();
});

test("in a user namespace all ids are its own ones", () => {
  const plain = shown(0, 0, [100000, 65536]);
  expect([0, 1000, 65535, 65536].map(plain)).toEqual([100000, 101000, 165535, undefined]);
  const mapped = shown(1000, 0, [100000, 65536]);
  expect([0, 1000, 1001, 65536].map(mapped)).toEqual([undefined, 100000, 101001, undefined]);
  const outside = shown(70000, 5, [100000, 65536]);
  expect([70000, 5, 6, 65535].map(outside)).toEqual([100005, undefined, 100006, 165535]);
});
