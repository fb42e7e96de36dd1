/** What else confines a container: seccomp, and security modules. */
import { ifExists, readFile, statIfExists } from "../../linux/file.ts";
import { defineCheck, type Finding, failure, ok, warning } from "./check.ts";

const WHY_SECCOMP = "containers are run with Docker's filter of system calls";

/** The actions that the kernel's seccomp has. */
export const seccomp = defineCheck({
  name: "seccomp",
  why: WHY_SECCOMP,
  // Not there without CONFIG_SECCOMP_FILTER.
  read: () => ifExists(() => readFile("/proc/sys/kernel/seccomp/actions_avail")),
  judge(actions): Finding[] {
    if (actions === undefined) {
      const fix =
        "boot a kernel with CONFIG_SECCOMP_FILTER, or run with `--security-opt seccomp=unconfined`";
      return [failure("seccomp", "this kernel has no filters", WHY_SECCOMP, fix)];
    }
    if (actions.split(/\s+/).includes("user_notif"))
      return [ok("seccomp", "filters, with notifications", WHY_SECCOMP)];
    return [
      warning(
        "seccomp",
        "filters, without notifications",
        "profiles with SCMP_ACT_NOTIFY cannot be loaded",
        "boot Linux 5.0 or newer",
      ),
    ];
  },
});

/** What the kernel says of its security modules. */
export interface SecurityModules {
  readonly apparmor: boolean;
  /** absent: no SELinux */
  readonly selinux?: "enforcing" | "permissive";
}

const WHY_MODULES = "what security modules forbid, a container gets EACCES for";

/** AppArmor and SELinux. */
export const securityModules = defineCheck({
  name: "security modules",
  why: WHY_MODULES,
  read(): SecurityModules {
    const apparmor =
      ifExists(() => readFile("/sys/module/apparmor/parameters/enabled"))?.trim() === "Y";
    if (statIfExists("/sys/fs/selinux/enforce") === undefined) return { apparmor };
    const isEnforcing = readFile("/sys/fs/selinux/enforce").trim() === "1";
    return { apparmor, selinux: isEnforcing ? "enforcing" : "permissive" };
  },
  judge: ({ apparmor, selinux }) => [
    ok(
      "AppArmor",
      apparmor ? "on; containers have the profile that mydocker itself runs under" : "off",
      WHY_MODULES,
    ),
    selinux === "enforcing"
      ? warning(
          "SELinux",
          "enforcing",
          "`run` labels neither processes nor files, so a policy for containers does not confine them, and may deny them what is mounted",
          "where a container is denied something (`ausearch -m avc`): allow it by a policy module, or `setenforce 0` to try",
        )
      : ok("SELinux", selinux ?? "off", WHY_MODULES),
  ],
});
