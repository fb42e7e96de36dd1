/** `update` of the OCI runtime. */
import { openRecord } from "../cgroups/record.ts";
import type { Resources } from "../cgroups/resources.ts";
import { updateCgroup } from "../cgroups/update.ts";
import { MydockerError } from "../errors.ts";
import { statusOf } from "./state.ts";
import type { RuntimeStore } from "./store.ts";

/**
 * Sets the limits that `resources` names; all or none.
 * @throws {MydockerError} when it has stopped, {CgroupError} for a limit that cannot be
 */
export async function updateContainer(
  store: RuntimeStore,
  id: string,
  resources: Resources,
): Promise<void> {
  using _lock = store.lock(id);
  const record = store.read(id);
  if (statusOf(store, record) === "stopped") {
    throw new MydockerError(`cannot update ${id}: container not running`);
  }
  const { unit } = record;
  const told =
    unit === undefined ? undefined : (await import("./systemd_scope.ts")).tellLimits(unit);
  updateCgroup(openRecord(record.cgroup), resources, told);
  // What exec and a later start read is what it now has.
  const spec = store.readConfig(id);
  store.writeConfig(id, {
    ...spec,
    linux: { ...spec.linux, resources: merge(spec.linux.resources, resources) },
  });
}

/** Each group's fields one by one; `unified` by its files. */
function merge(old: Resources, changed: Resources): Resources {
  const merged: Record<string, unknown> = { ...old };
  for (const [group, fields] of Object.entries(changed)) {
    const before = merged[group];
    const isGroup = typeof fields === "object" && !Array.isArray(fields);
    merged[group] = isGroup && typeof before === "object" ? { ...before, ...fields } : fields;
  }
  return merged as Resources;
}
