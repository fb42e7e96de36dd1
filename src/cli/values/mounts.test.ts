import { describe, expect, test } from "bun:test";
import { parseMount } from "./mount.ts";
import { parseTmpfs, parseVolume } from "./volume.ts";

const cwd = () => "/work/dir";
const bind = { type: "bind", readonly: false, createSource: true, recursive: true } as const;
const volume = { type: "volume", readonly: false, origin: "volume" } as const;

describe("-v", () => {
  test.each([
    ["/a:/b", { ...bind, source: "/a", target: "/b" }],
    ["/a/../c/:/b//x/", { ...bind, source: "/c", target: "/b/x" }],
    ["./x:/b", { ...bind, source: "/work/dir/x", target: "/b" }],
    [".:/b", { ...bind, source: "/work/dir", target: "/b" }],
    ["../x:/b", { ...bind, source: "/work/x", target: "/b" }],
    ["/a b\n\udcff:/b", { ...bind, source: "/a b\n\udcff", target: "/b" }],
    ["/a:/b:ro", { ...bind, source: "/a", target: "/b", readonly: true }],
    ["/a:/b:rw,z,nocopy", { ...bind, source: "/a", target: "/b" }],
    [
      "/a:/b:ro,rslave",
      { ...bind, source: "/a", target: "/b", readonly: true, propagation: "rslave" as const },
    ],
    ["/a:/b:shared", { ...bind, source: "/a", target: "/b", propagation: "shared" as const }],
    ["/b/../c", { ...volume, target: "/c" }],
    ["data:/b", { ...volume, name: "data", target: "/b", mode: "" }],
    [
      "data:/b:ro,nocopy",
      { ...volume, name: "data", target: "/b", readonly: true, nocopy: true, mode: "ro,nocopy" },
    ],
  ])("%j", (text, mount) => {
    expect<unknown>(parseVolume(text, cwd)).toEqual(mount);
  });

  test.each([
    ["/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"],
    [":/b", "invalid volume specification: ':/b'"],
    ["/a:", "invalid volume specification: '/a:'"],
    ["/a:b", "invalid mount path: 'b' mount path must be absolute"],
    ["/a:/", "destination can't be '/'"],
    ["/a:/b/..", "destination can't be '/'"],
    ["/a:/b:foo", "invalid mode: foo"],
    ["/a:/b:ro,rw", "invalid mode: ro,rw"],
    ["/a:/b:ro,ro", "invalid mode: ro,ro"],
    ["/a:/b:", "invalid mode: "],
    ["/a:/b:constructor", "invalid mode: constructor"],
    ["/b:ro", "invalid volume specification: '/b:ro'"],
    ["b", "invalid mount path: 'b' mount path must be absolute"],
    ["/", "destination can't be '/'"],
    ["", "invalid mount path: '' mount path must be absolute"],
    ["d:/b", "create d: volume name is too short"],
    [".x:/b", 'create .x: ".x" includes invalid characters for a local volume name'],
    ["a/b:/b", "If you intended to pass a host directory, use absolute path"],
    ["a\nb:/b", "includes invalid characters"],
    ["data:/b:rshared", "invalid mode: rshared"],
    ["data:/b:idmap", "invalid mode: idmap"],
  ])("%j is refused", (text, message) => {
    expect(() => parseVolume(text, cwd)).toThrow(message);
  });
});

describe("--mount", () => {
  const made = { ...bind, createSource: false };
  test.each([
    ["type=bind,source=/a,target=/b", { ...made, source: "/a", target: "/b" }],
    ["type=bind,src=/a,dst=/b,readonly", { ...made, source: "/a", target: "/b", readonly: true }],
    [
      "TYPE=bind,src=./x,destination=/b,ro=true",
      { ...made, source: "/work/dir/x", target: "/b", readonly: true },
    ],
    ["type=bind,src=/a,dst=/b,readonly=false", { ...made, source: "/a", target: "/b" }],
    ['type=bind,"src=/a,b=c",dst=/b', { ...made, source: "/a,b=c", target: "/b" }],
    [
      "type=bind,src=/a,dst=/b,bind-propagation=rshared,bind-nonrecursive",
      { ...made, source: "/a", target: "/b", propagation: "rshared" as const, recursive: false },
    ],
    [
      "type=bind,src=/a,dst=/b,bind-recursive=disabled",
      { ...made, source: "/a", target: "/b", recursive: false },
    ],
    [
      "type=bind,src=/a,dst=/b,ro,bind-recursive=writable",
      { ...made, source: "/a", target: "/b", readonly: true, writableBelow: true },
    ],
    [
      "type=bind,src=/a,dst=/b,ro,bind-recursive=readonly,bind-propagation=rprivate",
      { ...made, source: "/a", target: "/b", readonly: true, propagation: "rprivate" as const },
    ],
    ["dst=/b", { ...volume, target: "/b", origin: "mount" }],
    [
      "type=volume,src=data,dst=/b,ro,volume-nocopy,volume-subpath=x/y,volume-driver=local",
      {
        ...volume,
        name: "data",
        target: "/b",
        readonly: true,
        nocopy: true,
        subpath: "x/y",
        origin: "mount",
      },
    ],
    [
      '"volume-opt=o=size=1m,uid=7",volume-opt=type=tmpfs,volume-label=a=b=c,src=data,dst=/b',
      {
        ...volume,
        name: "data",
        target: "/b",
        driverOptions: { o: "size=1m,uid=7", type: "tmpfs" },
        labels: { a: "b=c" },
        origin: "mount",
      },
    ],
    ["type=tmpfs,dst=/b", { type: "tmpfs" as const, target: "/b", options: [] }],
    [
      "type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=1770,ro",
      { type: "tmpfs" as const, target: "/b", options: ["ro", "size=1048576", "mode=1770"] },
    ],
  ])("%j", (text, mount) => {
    expect<unknown>(parseMount(text, cwd)).toEqual(mount);
  });

  test.each([
    ["", "value is empty"],
    ["foo", "invalid field 'foo' must be a key=value pair"],
    ["type=bind,foo=bar", "unexpected key 'foo' in 'foo=bar'"],
    ["type=bind,constructor=bar", "unexpected key 'constructor' in 'constructor=bar'"],
    ["type=bind,src=/a", "target is required"],
    ["type=bind,dst=/b", 'invalid mount config for type "bind": field Source must not be empty'],
    ["type=bind,src=a,dst=/b", "invalid mount path: 'a' mount path must be absolute"],
    ["type=bind,src=/a,dst=b", "invalid mount path: 'b' mount path must be absolute"],
    ["type=bind,src=/a,dst=/b,ro=maybe", "invalid value for ro: maybe"],
    ["type=bind,src=/a,dst=/b,tmpfs-size=1", "cannot mix 'tmpfs-*' options with mount type 'bind'"],
    [
      "type=tmpfs,dst=/b,bind-propagation=private",
      "cannot mix 'bind-*' options with mount type 'tmpfs'",
    ],
    ["type=tmpfs,dst=/b,src=/a", "field Source must not be specified"],
    ["type=tmpfs,dst=/b,tmpfs-size=x", "invalid value for tmpfs-size: x"],
    ["type=tmpfs,dst=/b,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"],
    ["type=bind,src=/a,dst=/b,bind-propagation=x", "invalid propagation mode: x"],
    [
      "type=bind,src=/a,dst=/b,bind-recursive=yes",
      "invalid value for bind-recursive: yes (must be",
    ],
    ["type=bind,src=/a,dst=/b,bind-recursive=writable", "requires 'readonly' to be specified"],
    ["type=bind,src=/a,dst=/b,bind-recursive=readonly", "requires 'readonly' to be specified"],
    [
      "type=bind,src=/a,dst=/b,ro,bind-recursive=readonly",
      "requires 'bind-propagation=rprivate' to be specified",
    ],
    ["type=npipe,dst=/b", "mount type 'npipe' is not supported: use bind, volume or tmpfs"],
    ["src=a/b,dst=/b", "includes invalid characters for a local volume name"],
    ["src=data,dst=/b,bind-propagation=x", "cannot mix 'bind-*' options with mount type 'volume'"],
    ["type=bind,src=/a,dst=/b,volume-opt=a=b", "cannot mix 'volume-*' options"],
    ["src=data,dst=/b,volume-driver=nfs", 'plugin "nfs" not found'],
    ["src=data,dst=/b,volume-subpath=/x", "subpath must be a relative path within the volume"],
    ["src=data,dst=/b,volume-subpath=x/../../y", "subpath must be a relative path"],
    ["dst=/b,volume-subpath=x", "must not set Subpath when using anonymous volumes"],
  ])("%j is refused", (text, message) => {
    expect(() => parseMount(text, cwd)).toThrow(message);
  });
});

test("--tmpfs takes mount options behind the colon", () => {
  expect(parseTmpfs("/x")).toEqual({ type: "tmpfs", target: "/x", options: [] });
  expect(parseTmpfs("/x:size=1m,exec").options).toEqual(["size=1m", "exec"]);
  expect(() => parseTmpfs("x")).toThrow("mount path must be absolute");
});
