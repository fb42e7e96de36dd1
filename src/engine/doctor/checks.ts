/** Table of all checks of `doctor`, in the order in which they are shown: what others build on first. */
import { cgroupControllers, cgroupLayout } from "./cgroups.ts";
import type { Check } from "./check.ts";
import { clock } from "./clock.ts";
import { seccomp, securityModules } from "./confinement.ts";
import { idMappedMounts } from "./id_mapped_mounts.ts";
import { kernelConfig, kernelVersion } from "./kernel.ts";
import { limits } from "./limits.ts";
import { namespaces } from "./namespaces.ts";
import { firewall, forwarding } from "./network.ts";
import { overlay } from "./overlay.ts";
import { privileges } from "./privileges.ts";
import { stateDirectories } from "./space.ts";
import { staleState } from "./stale.ts";
import { subordinateIds } from "./subordinate_ids.ts";
import { trialRun } from "./trial.ts";

/** The trial is last: until then nothing has been made or changed. */
export const CHECKS: readonly Check[] = [
  kernelVersion,
  kernelConfig,
  privileges,
  cgroupLayout,
  cgroupControllers,
  namespaces,
  subordinateIds,
  overlay,
  idMappedMounts,
  seccomp,
  securityModules,
  firewall,
  forwarding,
  limits,
  stateDirectories,
  clock,
  staleState,
  trialRun,
];
