/** What a schema finds wrong, as OpenAI says it: one message, and the parameter at fault. */
import type { ZodType } from 'zod';
import { HttpError } from './http-error.js';

/** An issue of a schema that is about a known parameter which is not supported. */
export const unsupportedIssue = { unsupported: true };

/** The input as the schema makes it, or 400 naming the first parameter that is wrong. */
export function parseInput<Input>(schema: ZodType<Input>, body: unknown): Input {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const param = pathOf(issue?.path ?? []);
  const known = issue?.code === 'custom' && issue.params?.unsupported === true;
  const code = known ? 'unsupported_parameter' : 'invalid_value';
  const message = param === '' ? 'The body must be an object' : `${param}: ${issue?.message}`;
  throw new HttpError(400, message, { code, ...(param === '' ? {} : { param }) });
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}
