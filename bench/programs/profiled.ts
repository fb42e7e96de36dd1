/** mydocker itself, or with PROFILE_FACE=oci its OCI runtime, with every kernel call noted in the file that PROFILE_LOG names. */

const started = performance.now();

import { observeCalls } from "../../src/ffi/call.ts";
import { CallLogWriter } from "../tools/call_log.ts";

if (process.argv[2] === "internal-init-stage") {
  const { runStage } = await import("../../src/runtime/stage.ts");
  runStage(process.argv.slice(3));
}
const path = process.env["PROFILE_LOG"];
if (path === undefined) process.exit(0); // the build sees whether it starts

const log = new CallLogWriter(Bun.mmap(path));
log.add(started, "main");
observeCalls(({ syscall, args, result }) => {
  if (syscall === "clone" && result === 0) log.switchToChild();
  const about = args["path"] ?? args["option"] ?? args["source"] ?? args["timeout"] ?? "";
  log.add(performance.now(), `${syscall} ${about} = ${result}`);
});

const isOci = process.env["PROFILE_FACE"] === "oci";
const { main } = await (isOci
  ? import("../../src/cli/oci/index.ts")
  : import("../../src/cli/index.ts"));
log.add(performance.now(), "cli");
// What the command would load: so its time can be told apart.
await (isOci ? import("../../src/cli/oci/create.ts") : import("../../src/engine/run.ts"));
log.add(performance.now(), "engine");
const code = await main(process.argv.slice(2));
log.add(performance.now(), "end");
const { monotonicOffset } = await import("../tools/clock.ts");
log.add(monotonicOffset(), "offset");
process.exit(code);
