/** `GET /openapi.json`: written from the table of routes and the schemas that check what comes in. */
import * as z from 'zod';
import { packageVersion } from '../package-root.js';
import { json, route, type Route } from './route.js';

export const openApiRoute = route({
  method: 'GET',
  path: '/openapi.json',
  access: 'all',
  style: 'openai',
  summary: 'This description.',
  handle: ({ server, response }) => json(response, document(server.routes)),
});

/** The OpenAPI 3.1 document of some routes. */
export function document(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  const schemas: Record<string, object> = {};
  for (const each of routes) (paths[each.path] ??= {})[each.method.toLowerCase()] = operation(each, schemas);
  return {
    openapi: '3.1.0',
    info: { title: 'axllm', version: packageVersion(), license: { name: 'Apache-2.0' } },
    paths,
    components: { schemas, securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
  };
}

function operation({ summary, input, access }: Route, schemas: Record<string, object>): object {
  const body = input && {
    requestBody: { required: true, content: { 'application/json': { schema: schemaOf(input, schemas) } } },
  };
  const wrong = { description: 'What is wrong, and with which parameter.' };
  return {
    summary,
    ...(access === 'open' ? {} : { security: [{}, { key: [] }] }),
    ...body,
    responses: { 200: { description: 'The answer.' }, '4XX': wrong, '5XX': wrong },
  };
}

/** The schema as it stands in the document; the parts that have names join those of the others. */
function schemaOf(input: z.ZodType, schemas: Record<string, object>): object {
  const { $schema: _, ...found } = z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' });
  // a reference begins at the document's root, not at the schema's
  const text = JSON.stringify(found).replaceAll('"#/$defs/', '"#/components/schemas/');
  const { $defs = {}, ...schema } = JSON.parse(text) as { $defs?: Record<string, object> };
  Object.assign(schemas, $defs);
  return schema;
}
