/** What `prune --filter` leaves in its place (moby: daemon/prune.go, matchLabels and getUntilFromPruneFilters). */

/** `KEY`, or `KEY=VALUE`. */
export type LabelCondition = string;

/** What all have to meet that are removed. */
export interface PruneConditions {
  /** made before, in milliseconds since 1970 */
  readonly until?: number | undefined;
  /** has all of these labels */
  readonly labels: readonly LabelCondition[];
  /** has not all of these labels, unless there are none */
  readonly withoutLabels: readonly LabelCondition[];
}

/** What a thing says of itself. */
export interface Prunable {
  /** RFC 3339, or empty: it does not say */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Whether a thing may be removed. */
export function meets({ created, labels }: Prunable, conditions: PruneConditions): boolean {
  const { until, labels: wanted, withoutLabels } = conditions;
  if (until !== undefined && (Date.parse(created) || 0) > until) return false;
  if (!wanted.every((each) => hasLabel(labels, each))) return false;
  return withoutLabels.length === 0 || !withoutLabels.every((each) => hasLabel(labels, each));
}

function hasLabel(labels: Readonly<Record<string, string>>, condition: LabelCondition): boolean {
  const sign = condition.indexOf("=");
  if (sign < 0) return Object.hasOwn(labels, condition);
  const key = condition.slice(0, sign);
  return Object.hasOwn(labels, key) && labels[key] === condition.slice(sign + 1);
}
