import { expect, test } from "bun:test";
import { IdTranslation } from "./id_translation.ts";

const ids = new IdTranslation(
  [
    { containerID: 0, hostID: 100_000, size: 1000 },
    { containerID: 1000, hostID: 5000, size: 1 },
  ],
  [{ containerID: 0, hostID: 200_000, size: 1000 }],
);

test("owners are translated both ways", () => {
  expect(ids.toHost({ uid: 0, gid: 7, path: "x" })).toEqual({
    uid: 100_000,
    gid: 200_007,
    path: "x",
  });
  expect(ids.toContainer({ uid: 5000, gid: 200_999 })).toEqual({ uid: 1000, gid: 999 });
});

test("an owner of the host that the container does not know is nobody there", () => {
  expect(ids.toContainer({ uid: 0, gid: 201_000 })).toEqual({ uid: 65534, gid: 65534 });
});

test("an owner that the container has no id for is refused", () => {
  expect(() => ids.toHost({ uid: 1001, gid: 0 })).toThrow("no owner 1001:0");
});

test("without a user namespace ids are the same", () => {
  expect(IdTranslation.NONE.toHost({ uid: 5, gid: 6 })).toEqual({ uid: 5, gid: 6 });
});
