import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { composeSecurity, parseSecurityOption } from "./security_option.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mydocker-security-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const compose = (...texts: string[]) => composeSecurity(texts.map(parseSecurityOption));

describe("security options", () => {
  test("are none by default", () => {
    expect(compose()).toEqual({ noNewPrivileges: false });
  });

  test.each([
    ["no-new-privileges", true],
    ["no-new-privileges=true", true],
    ["no-new-privileges:true", true],
    ["no-new-privileges=1", true],
    ["no-new-privileges:false", false],
    ["no-new-privileges=F", false],
  ])("%s", (text, noNewPrivileges) => {
    expect(compose(text)).toEqual({ noNewPrivileges });
  });

  test.each(["=", ":"])("have values behind %s", (separator) => {
    const off = { noNewPrivileges: false };
    expect(compose(`seccomp${separator}unconfined`)).toEqual({ ...off, seccomp: "unconfined" });
    expect(compose(`seccomp${separator}builtin`)).toEqual({ ...off, seccomp: "builtin" });
    expect(compose(`systempaths${separator}unconfined`)).toEqual({ ...off, unconfinedPaths: true });
    expect(compose(`apparmor${separator}unconfined`)).toEqual(off);
    expect(compose(`label${separator}disable`)).toEqual(off);
  });

  test("of a profile take the file's text, whatever its name has in it", () => {
    const file = join(folder, "a:b=c.json");
    writeFileSync(file, "{}");
    expect(compose(`seccomp=${file}`)).toMatchObject({ seccomp: { profile: "{}" } });
  });

  test("count from the last of a kind", () => {
    expect(compose("seccomp=unconfined", "no-new-privileges", "seccomp=builtin")).toEqual({
      noNewPrivileges: true,
      seccomp: "builtin",
    });
  });

  test.each([
    ["foo", 'Invalid --security-opt: "foo"'],
    ["foo=bar", 'Invalid --security-opt: "foo=bar"'],
    ["seccomp", 'Invalid --security-opt: "seccomp"'],
    ["seccomp=", 'Invalid --security-opt: "seccomp="'],
    ["no-new-privileges=maybe", 'Invalid --security-opt: "no-new-privileges=maybe"'],
    ["systempaths=confined", 'Invalid --security-opt: "systempaths=confined"'],
    ["writable-cgroups=true", 'security option "writable-cgroups" is not supported'],
    [
      "seccomp=/no/such.json",
      "opening seccomp profile (/no/such.json) failed: open /no/such.json: no such file or directory",
    ],
    ["apparmor=strict", 'AppArmor profile "strict": '],
    ["label=type:svirt_t", 'SELinux label "type:svirt_t": '],
  ])("refuse %s", (text, message) => {
    expect(() => compose(text)).toThrow(message);
  });
});
