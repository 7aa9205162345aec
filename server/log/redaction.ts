/**
 * The payload of an event that was superseded: these fields, if it has them, are empty texts or lists, and it says so.
 * What is `null` stays so. The function `redacted` does the same in the database.
 * @param json the payload
 * @param fields with dots for what lies deeper
 */
export function redacted(json: string, fields: readonly string[]): string {
  if (fields.length === 0) return json;
  const payload = JSON.parse(json) as Record<string, unknown>;
  let found = false;
  for (const field of fields) {
    const path = field.split('.');
    const last = path.pop() ?? '';
    let holder: unknown = payload;
    for (const step of path) holder = (holder as Record<string, unknown> | undefined)?.[step];
    if (typeof holder !== 'object' || holder === null || !(last in holder)) continue;
    found = true;
    const named = holder as Record<string, unknown>;
    named[last] = emptied(named[last]);
  }
  return found ? JSON.stringify({ ...payload, redacted: true }) : json;
}

function emptied(value: unknown): unknown {
  if (Array.isArray(value)) return [];
  return value === null ? null : '';
}
