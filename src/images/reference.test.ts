import { describe, expect, test } from "bun:test";
import {
  familiarName,
  familiarReference,
  formatReference,
  InvalidReferenceError,
  parseReference,
  withDefaultTag,
} from "./reference.ts";

const hex64 = "86e0e091d0da6bde2456dbb48306f3956bbeb2eae1b5b9a43045843f69fe4aaa";
const digest = `sha256:${hex64}`;
const long = "a".repeat(242);

describe("what is typed becomes the full reference, and is shown as short as it was", () => {
  test.each([
    // typed, full with the default tag, shown
    ["busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"],
    ["library/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest"],
    ["me/app", "docker.io/me/app:latest", "me/app:latest"],
    ["library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"],
    ["localhost/app", "localhost/app:latest", "localhost/app:latest"],
    ["localhost:5000/app:x", "localhost:5000/app:x", "localhost:5000/app:x"],
    ["127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest", "127.0.0.1:5000/a/b:latest"],
    ["[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app:latest", "[2001:db8::1]:5000/app:latest"],
    ["quay.io/a/b/c:v1.2_3-4", "quay.io/a/b/c:v1.2_3-4", "quay.io/a/b/c:v1.2_3-4"],
    ["Registry/app", "Registry/app:latest", "Registry/app:latest"],
    ["EXAMPLE.com/app", "EXAMPLE.com/app:latest", "EXAMPLE.com/app:latest"],
    [`busybox@${digest}`, `docker.io/library/busybox@${digest}`, `busybox@${digest}`],
    [`a/b:t@${digest}`, `docker.io/a/b:t@${digest}`, `a/b:t@${digest}`],
    ["a__b/c-d.e---f", "docker.io/a__b/c-d.e---f:latest", "a__b/c-d.e---f:latest"],
    ["deadbeef", "docker.io/library/deadbeef:latest", "deadbeef:latest"],
    ["x:LATEST", "docker.io/library/x:LATEST", "x:LATEST"],
    [`x:${"t".repeat(128)}`, `docker.io/library/x:${"t".repeat(128)}`, `x:${"t".repeat(128)}`],
    [`me/${long}`, `docker.io/me/${long}:latest`, `me/${long}:latest`],
    ["xn--7o8h.com/app", "xn--7o8h.com/app:latest", "xn--7o8h.com/app:latest"],
  ])("%s", (typed, full, shown) => {
    const reference = withDefaultTag(parseReference(typed));
    expect(formatReference(reference)).toBe(full);
    expect(familiarReference(reference)).toBe(shown);
    expect(parseReference(full)).toEqual(reference);
    expect(withDefaultTag(parseReference(shown))).toEqual(reference);
  });
});

test("the familiar name has no tag", () => {
  expect(familiarName(parseReference("docker.io/library/busybox:1"))).toBe("busybox");
  expect(familiarName(parseReference("quay.io/a/b:1"))).toBe("quay.io/a/b");
});

describe("what is no reference is refused in Docker's words", () => {
  const format = "invalid reference format";
  test.each([
    ["", format],
    [":tag", format],
    ["/a", format],
    ["a/", format],
    ["a//b", format],
    ["a:", format],
    ["a@", format],
    ["-a", format],
    ["a-", format],
    ["a..b", format],
    ["a___b", format],
    ["a b", format],
    ["a\n", format],
    ["[", format],
    ["../a", format],
    ["a/../b", format],
    [".", format],
    ["a@sha256:abc", format],
    ["a@sha256", format],
    ["x:.tag", format],
    ["https://example.com/a", format],
    [`x:${"t".repeat(129)}`, format],
    ["bücher", format],
    ["a\udcff", format],
    ["-bad.com/a", format],
    ["FOO", "invalid reference format: repository name (library/FOO) must be lowercase"],
    ["foo/Bar:x", "invalid reference format: repository name (foo/Bar) must be lowercase"],
    ["a.io/Foo", "invalid reference format: repository name (Foo) must be lowercase"],
    [hex64, `invalid repository name (${hex64}), cannot specify 64-byte hexadecimal strings`],
    [`me/a${long}`, "repository name must not be more than 255 characters"],
    [`a@sha256:${hex64}00`, "invalid checksum digest length"],
    [`a@md5:${"0".repeat(32)}`, "unsupported digest algorithm"],
    [`a@sha256:${hex64.toUpperCase()}`, "invalid checksum digest format"],
  ])("%j", (typed, message) => {
    expect(() => parseReference(typed)).toThrow(InvalidReferenceError);
    expect(() => parseReference(typed)).toThrow(new RegExp(`^${RegExp.escape(message)}$`));
  });
});
