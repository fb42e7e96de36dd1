import { expect, test } from "bun:test";
import { defaultImage, readDefaultImageLayer } from "./default_image.ts";

test("the layer has the size and digest that the configuration names", () => {
  const [layer, ...others] = defaultImage.layers;
  const tar = Bun.zstdDecompressSync(readDefaultImageLayer());
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(tar).digest("hex")}`;
  expect(others).toEqual([]);
  expect(layer).toEqual({ diffId: digest, size: tar.length });
  expect(defaultImage.config.rootfs).toEqual({ type: "layers", diff_ids: [digest] });
});

test("the applets are sorted and hold a shell, but not the image's own name", () => {
  const { applets } = defaultImage;
  expect(applets).toEqual(applets.toSorted());
  expect(applets).toContain("sh");
  expect(applets).not.toContain("busybox");
});
