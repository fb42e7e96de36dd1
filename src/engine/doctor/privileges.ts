/** What mydocker itself may do. */
import { ownCapabilities } from "../host_facts.ts";
import { defineCheck, type Finding, failure, ok, warning } from "./check.ts";

const NAME = "privileges";
const WHY =
  "mydocker makes namespaces, mounts and device nodes, and gives away what it has itself only";

/** What every start of a container takes. */
const NEEDED = ["SYS_ADMIN", "NET_ADMIN", "SETGID", "SETPCAP", "DAC_OVERRIDE"];

/** What does not work without others. */
const WANTED: Readonly<Record<string, string>> = {
  SYS_RESOURCE:
    "`--ulimit` cannot go above mydocker's own limits, nor `--oom-score-adj` below its own",
  SETUID: "`--user` and USER of an image need it",
  CHOWN: "files of images cannot be given to their owners",
  MKNOD: "images with device nodes cannot be unpacked, and containers cannot make any",
  SYS_CHROOT: "containers are to have it",
};

/** The capabilities that we hold. */
export const privileges = defineCheck({
  name: NAME,
  why: WHY,
  read: ownCapabilities,
  judge(held): Finding[] {
    const isLacking = (name: string) => !held.includes(`CAP_${name}`);
    const lacking = NEEDED.filter(isLacking).map((name) => `CAP_${name}`);
    if (lacking.length > 0) {
      const fix = "start mydocker as root outside of containers, or in one with `--privileged`";
      return [failure(NAME, `without ${lacking.join(", ")}`, WHY, fix)];
    }
    const found = Object.entries(WANTED)
      .filter(([name]) => isLacking(name))
      .map(([name, why]) => {
        const fix = "start mydocker with all of root's capabilities";
        return warning(`CAP_${name}`, "not held", why, fix);
      });
    return [ok(NAME, `${held.length} capabilities`, WHY), ...found];
  },
});
