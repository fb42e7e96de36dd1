import { defineCommand, requireRoot } from "../../command.ts";
import { diagnosisText } from "../../diagnosis_text.ts";
import { print } from "../../output.ts";

/** `mydocker doctor`. */
export const command = defineCommand({
  options: {
    json: { type: "boolean", description: "Print what was found as JSON" },
  },
  positionals: { usage: "", min: 0, max: 0 },
  async run({ values }) {
    requireRoot("mydocker doctor");
    const { diagnose } = await import("../../../engine/doctor/doctor.ts");
    const { statePaths } = await import("../../../paths.ts");
    const diagnosis = diagnose(statePaths());
    await print(values.json ? `${JSON.stringify(diagnosis, null, 2)}\n` : diagnosisText(diagnosis));
    return diagnosis.works ? 0 : 1;
  },
});
