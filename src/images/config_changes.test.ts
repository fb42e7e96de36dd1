import { describe, expect, test } from "bun:test";
import { applyChanges } from "./config_changes.ts";
import type { ImageRunConfig } from "./image_config.ts";

const SECOND = 1_000_000_000;

describe("instructions", () => {
  test.each<[string[], ImageRunConfig]>([
    [['CMD ["bash", "-l"]'], { Cmd: ["bash", "-l"] }],
    [["cmd echo hi"], { Cmd: ["/bin/sh", "-c", "echo hi"] }],
    [["CMD [not json]"], { Cmd: ["/bin/sh", "-c", "[not json]"] }],
    [["CMD []"], { Cmd: [] }],
    [['ENTRYPOINT ["/init"]'], { Entrypoint: ["/init"] }],
    [["ENV A=1 B=\"two words\" C='$A' D=a\\ b"], { Env: ["A=1", "B=two words", "C=$A", "D=a b"] }],
    [["ENV A the rest  of it"], { Env: ["A=the rest  of it"] }],
    [
      ["ENV A=1", "ENV B=$A-${A}-${X:-none}-${A:+set}", "ENV A=2"],
      { Env: ["A=2", "B=1-1-none-set"] },
    ],
    [["ENV A=x=y"], { Env: ["A=x=y"] }],
    [
      ["EXPOSE 80 53/udp 8000-8002/TCP"],
      {
        ExposedPorts: {
          "80/tcp": {},
          "53/udp": {},
          "8000/tcp": {},
          "8001/tcp": {},
          "8002/tcp": {},
        },
      },
    ],
    [['LABEL a=1 "b c"="d e"', "LABEL a=2"], { Labels: { a: "2", "b c": "d e" } }],
    [["USER nobody:nogroup"], { User: "nobody:nogroup" }],
    [["VOLUME /a /b", 'VOLUME ["/c d"]'], { Volumes: { "/a": {}, "/b": {}, "/c d": {} } }],
    [["WORKDIR /a/b", "WORKDIR c", "WORKDIR ../d"], { WorkingDir: "/a/b/d" }],
    [["WORKDIR my dir"], { WorkingDir: "/my dir" }],
    [["STOPSIGNAL SIGQUIT"], { StopSignal: "SIGQUIT" }],
    [["STOPSIGNAL 9"], { StopSignal: "9" }],
    [["STOPSIGNAL RTMIN+3"], { StopSignal: "RTMIN+3" }],
    [["ONBUILD RUN make", "ONBUILD COPY . /x"], { OnBuild: ["RUN make", "COPY . /x"] }],
    [["HEALTHCHECK NONE"], { Healthcheck: { Test: ["NONE"] } }],
    [
      ["HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f localhost"],
      {
        Healthcheck: {
          Interval: 90 * SECOND,
          Timeout: SECOND / 2,
          Retries: 3,
          Test: ["CMD-SHELL", "curl -f localhost"],
        },
      },
    ],
    [['HEALTHCHECK CMD ["a", "b"]'], { Healthcheck: { Test: ["CMD", "a", "b"] } }],
    [
      ["ENV A=1\nUSER x\n# no\n\nCMD a \\\nb"],
      { Env: ["A=1"], User: "x", Cmd: ["/bin/sh", "-c", "a b"] },
    ],
  ])("%j", (changes, expected) => {
    expect(applyChanges({}, changes)).toEqual(expected);
  });

  test("the configuration that was there stays, and is not changed", () => {
    const before: ImageRunConfig = { Env: ["A=1"], Labels: { a: "1" }, Cmd: ["x"] };
    const copy = structuredClone(before);
    expect(applyChanges(before, ["ENV B=2", "LABEL b=2"])).toEqual({
      Env: ["A=1", "B=2"],
      Labels: { a: "1", b: "2" },
      Cmd: ["x"],
    });
    expect(before).toEqual(copy);
  });
});

describe("what is no such instruction", () => {
  test.each([
    ["RUN make", "RUN is not a valid change command"],
    ["FROM x", "FROM is not a valid change command"],
    ["constructor x", "CONSTRUCTOR is not a valid change command"],
    ["CMD", "CMD requires at least one argument"],
    ["ENV A", "ENV must have two arguments"],
    ["ENV A=1 B", `Syntax error - can't find = in "B". Must be of the form: name=value`],
    ["ENV =1", "ENV names can not be blank"],
    ['ENV A="x', "unexpected end of statement while looking for matching quote"],
    ["ENV A=${x", "failed to process"],
    ["USER a b", "USER requires exactly one argument"],
    ["EXPOSE 70000", "Invalid containerPort: 70000"],
    ["EXPOSE 90-80", "Invalid containerPort: 90-80"],
    ["EXPOSE 80/icmp", "Invalid proto: icmp"],
    ['VOLUME [""]', "VOLUME specified can not be an empty string"],
    ["STOPSIGNAL SIGNOPE", "Invalid signal: SIGNOPE"],
    ["ONBUILD ONBUILD x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ["ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"],
    ["HEALTHCHECK x", 'Unknown type "X" in HEALTHCHECK (try CMD)'],
    ["HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"],
    ["HEALTHCHECK --retries=0 CMD x", "--retries must be at least 1 (not 0)"],
    ["HEALTHCHECK --interval=1 CMD x", "invalid duration"],
    ["HEALTHCHECK --foo=1 CMD x", "Unknown flag: foo"],
  ])("%s", (change, message) => {
    expect(() => applyChanges({}, [change])).toThrow(message);
  });
});
