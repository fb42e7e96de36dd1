/** Where the program starts: which of its faces was called. Loads only what that face needs. */

const args = process.argv.slice(2);

if (args[0] === "internal-init-stage") {
  const { runStage } = await import("./runtime/stage.ts");
  runStage(args.slice(1));
}

if (process.argv0.endsWith("-oci") || args[0] === "oci") {
  const { refuseOci } = await import("./cli/oci_refusal.ts");
  process.exit(refuseOci());
}
const { main } = await import("./cli/index.ts");
process.exit(await main(args));
