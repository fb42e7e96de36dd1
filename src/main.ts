/** Where the program starts: which of its faces was called. Loads only what that face needs. */

const args = process.argv.slice(2);

if (args[0] === "internal-init-stage") {
  const { runStage } = await import("./runtime/stage.ts");
  runStage(args.slice(1));
}

if (args[0] === "internal-monitor") {
  const { runMonitor } = await import("./engine/monitor.ts");
  process.exit(await runMonitor());
}

if (args[0] === "internal-unpack") {
  const { runUnpackStage } = await import("./images/unpack_stage.ts");
  process.exit(await runUnpackStage());
}

if (args[0] === "internal-pull") {
  const { runPullStage } = await import("./cli/pull_stage.ts");
  process.exit(await runPullStage(args[1] ?? ""));
}

const calledAsOci = process.argv0.endsWith("-oci");
if (calledAsOci || args[0] === "oci") {
  const { main } = await import("./cli/oci/index.ts");
  process.exit(await main(calledAsOci ? args : args.slice(1)));
}
const { main } = await import("./cli/index.ts");
process.exit(await main(args));
