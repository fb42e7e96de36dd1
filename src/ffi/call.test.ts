import { afterEach, describe, expect, test } from "bun:test";
import { cString } from "./bytes.ts";
import {
  type CallRecord,
  check,
  describeCall,
  Flags,
  isErrno,
  observeCalls,
  retryInterrupted,
  SysError,
} from "./call.ts";
import { errnoNumbers } from "./errno.ts";
import { libc } from "./libc.ts";

const E = errnoNumbers();
const AT_FDCWD = -100;
const TABLE = { MS_RDONLY: 1, MS_NOSUID: 2, MS_BIND: 4096, MS_REC: 16384, MS_SILENT: 32768 };
const missing = () =>
  check("open", { path: "/nowhere" }, libc.openat(AT_FDCWD, cString("/nowhere"), 0, 0));
const closed = () => check("close", { fd: 9999 }, libc.close(9999));

afterEach(() => observeCalls());

/** What a function throws. */
function thrown(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("Flags", () => {
  test.each([
    [0, "0"],
    [1, "MS_RDONLY"],
    [4096 | 16384, "MS_BIND|MS_REC"],
    [2 | 0x100, "MS_NOSUID|0x100"],
    [0x80000000 | 1, "MS_RDONLY|0x80000000"],
  ])("%i reads %s", (value, text) => {
    expect(new Flags(TABLE, value).toString()).toBe(text);
  });

  test("name a combination before the bits it has in common with others, when it comes first", () => {
    expect(new Flags({ O_SYNC: 0o4010000, O_DSYNC: 0o10000 }, 0o4010000).toString()).toBe("O_SYNC");
    expect(new Flags({ O_SYNC: 0o4010000, O_DSYNC: 0o10000 }, 0o10000).toString()).toBe("O_DSYNC");
  });
});

test("a call is described with its operation, objects and flags", () => {
  const flags = new Flags(TABLE, 4096);
  expect(describeCall("mount", { source: "overlay", on: "/x/merged", flags })).toBe(
    "mount overlay on /x/merged (MS_BIND)",
  );
  expect(describeCall("mount", { source: null, on: "/", flags: new Flags(TABLE, 0) })).toBe(
    "mount on /",
  );
});

describe("check", () => {
  test("gives a success back as a number", () => {
    expect(check("getpid", {}, libc.getpid())).toBe(process.pid);
    expect(check("big", {}, 5n)).toBe(5);
  });

  test("throws what failed, on what, and why", () => {
    const error = thrown(missing);
    expect(error).toBeInstanceOf(SysError);
    expect(error).toMatchObject({ syscall: "open", code: "ENOENT", errno: E.ENOENT });
    expect(String(error)).toContain("open /nowhere: ENOENT: no such file or directory");
  });

  test("reads each call's own errno, however often and in whatever order", () => {
    for (let i = 0; i < 20_000; i++) {
      const [act, code] =
        i % 3 === 0 ? ([closed, "EBADF"] as const) : ([missing, "ENOENT"] as const);
      const error = thrown(act);
      if (!isErrno(error, code)) throw new Error(`round ${i}: ${error}`);
      if (i % 1000 === 0) Bun.gc(true);
    }
  });
});

test("the observer sees calls that succeed and fail, until it is removed", () => {
  const seen: CallRecord[] = [];
  observeCalls((record) => seen.push(record));
  check("getpid", {}, libc.getpid());
  thrown(closed);
  observeCalls();
  thrown(closed);
  expect(seen).toEqual([
    { syscall: "getpid", args: {}, result: process.pid, errno: 0 },
    { syscall: "close", args: { fd: 9999 }, result: -1, errno: E.EBADF },
  ]);
});

describe("retryInterrupted", () => {
  const failing = (errno: number) => new SysError("read", {}, errno);

  test("goes on after EINTR and stops at another error", () => {
    const errors = [failing(E.EINTR), failing(E.EINTR)];
    const attempt = () => {
      const error = errors.shift();
      if (error !== undefined) throw error;
      return 3;
    };
    expect(retryInterrupted(attempt)).toBe(3);
    errors.push(failing(E.EINTR), failing(E.EIO));
    expect(thrown(() => retryInterrupted(attempt))).toMatchObject({ code: "EIO" });
    expect(errors).toEqual([]);
  });
});
