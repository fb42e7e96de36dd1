/** One record of comma-separated values (RFC 4180), as Go's encoding/csv reads it. */
import { UsageError } from "../../errors.ts";

/** `a,"b,c"` is `a` and `b,c`; a quote inside quotes is doubled. */
export function parseCsvRecord(text: string): string[] {
  const fields: string[] = [];
  for (let at = 0; at <= text.length; ) {
    if (text[at] !== '"') {
      const end = endOf(text, at);
      const field = text.slice(at, end);
      if (field.includes('"'))
        throw new UsageError('parse error on line 1: bare " in non-quoted-field');
      fields.push(field);
      at = end + 1;
      continue;
    }
    let field = "";
    for (at += 1; ; at += 2) {
      const close = text.indexOf('"', at);
      if (close < 0)
        throw new UsageError('parse error on line 1: extraneous or missing " in quoted-field');
      field += text.slice(at, close);
      at = close;
      if (text[close + 1] !== '"') break;
      field += '"';
    }
    at += 1;
    if (at < text.length && text[at] !== ",")
      throw new UsageError('parse error on line 1: extraneous or missing " in quoted-field');
    fields.push(field);
    at += 1;
  }
  return fields;
}

function endOf(text: string, from: number): number {
  const comma = text.indexOf(",", from);
  return comma < 0 ? text.length : comma;
}
