import { expect, test } from "bun:test";
import { containerCgroup } from "./container_cgroup.ts";

test.each([
  [undefined, "/mydocker/ID"],
  ["/", "/ID"],
  ["/a/b", "/a/b/ID"],
  ["/a.slice", "/a.slice/mydocker/ID"],
  ["/a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice/mydocker/ID"],
  ["/a.slice/a-b.slice", "/a.slice/a-b.slice/mydocker/ID"],
  ["/system.slice/x.service", "/system.slice/x.service/ID"],
  ["/a--b.slice", "/a--b.slice/mydocker/ID"],
])("below --cgroup-parent %p a container's cgroup is %s", (parent, path) => {
  expect(containerCgroup("ID", parent)).toBe(path);
});
