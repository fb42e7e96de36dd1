/** Optional fields. */

/** An object's fields that have a value: with exactOptionalPropertyTypes, absent is not undefined. */
export function defined<T extends object>(
  object: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  // Object.entries loses which key has which type.
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
