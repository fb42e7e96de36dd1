/** The systemd unit of `system unit` (systemd.unit(5), systemd.service(5)). */
import type { Paths } from "../paths.ts";

/**
 * What starts containers at boot, and stops them before the machine goes down.
 * @param executable absolute path
 * @param usual the directories without any variable
 */
export function unitText(executable: string, paths: Paths, usual: Paths): string {
  const variables = [
    ...(paths.root === usual.root ? [] : [`MYDOCKER_ROOT=${paths.root}`]),
    ...(paths.run === usual.run ? [] : [`MYDOCKER_RUN=${paths.run}`]),
  ];
  return `[Unit]
Description=mydocker: start containers by their restart policies
Wants=network-online.target
After=network-online.target time-sync.target
RequiresMountsFor=${word(paths.root)}

[Service]
Type=oneshot
RemainAfterExit=yes
${variables.map((variable) => `Environment=${word(variable)}\n`).join("")}ExecStart=${word(executable)} system boot
ExecStop=${word(executable)} system shutdown
# The monitors of containers live in this unit, one process each: they end with their containers.
KillMode=process
TasksMax=infinity
# One that does not start is told in the journal, and no reason not to stop the others.
SuccessExitStatus=1
TimeoutStartSec=infinity
TimeoutStopSec=2min

[Install]
WantedBy=multi-user.target
`;
}

/** One word of a line: in quotes where something in it would mean something. */
function word(text: string): string {
  const plain = text.replaceAll("%", "%%");
  if (/^[\w/.:=%@+-]+$/.test(text)) return plain;
  return `"${plain.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}
