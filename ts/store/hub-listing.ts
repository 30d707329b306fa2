/** What a repository of the hub holds, at which commit: through the hub's own client, over our connection. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AxllmError } from '../errors.js';
import type { Expected } from './digest.js';
import { hubEndpoint, tokenFor } from './hub-host.js';
import type { FetchContext } from './fetch.js';
import { HttpFault, faultOf, statusFault } from './http.js';
import { defaultPatience, waitBefore } from './patience.js';
import { dispatcherFor, undici } from './proxies.js';

/** A file and its checksums: SHA-256 of large ones, the name in git of small ones. */
export interface HubFile extends Expected {
  readonly path: string;
}

/** The newest commit of `repo`, and its files at the top level whose names are plain. */
export async function listFiles(
  repo: string,
  context: FetchContext,
): Promise<{ commit: string; files: HubFile[] }> {
  const hub = await import('@huggingface/hub');
  const common = { hubUrl: hubEndpoint(context.env), fetch: fetchFor(context) };
  try {
    const { sha } = await hub.modelInfo({ name: repo, additionalFields: ['sha'], ...common });
    const files: HubFile[] = [];
    for await (const { type, path, size, oid, lfs } of hub.listFiles({ repo, revision: sha, ...common })) {
      if (type !== 'file' || !/^\w[\w.-]*$/.test(path)) continue;
      files.push(lfs ? { path, size: lfs.size, sha256: lfs.oid } : { path, size, gitSha1: oid });
    }
    return { commit: sha, files };
  } catch (error) {
    context.signal?.throwIfAborted();
    throw explained(error, common.hubUrl);
  }
}

/** A `fetch` with our proxies, which is as patient as a download is. */
function fetchFor(context: FetchContext): typeof fetch {
  const { signal, patience = defaultPatience } = context;
  const once = fetchOnce(context, 2 * patience.connectMs);
  return async (input, init) => {
    for (let failures = 1; ; failures++) {
      let fault: HttpFault;
      try {
        const answer = await once(input, init);
        const header = (name: string) => answer.headers.get(name) ?? undefined;
        fault = statusFault({ status: answer.status, header });
        // what is left is told by the client, which reads what the hub says of it
        if (answer.ok || fault.kind !== 'broken' || failures > patience.retries) return answer;
        await answer.body?.cancel();
      } catch (error) {
        signal?.throwIfAborted();
        const { cause } = error as Error;
        fault = faultOf(cause ?? error);
        if (fault.kind !== 'broken' || failures > patience.retries) throw error;
      }
      await sleep(waitBefore(failures, fault, patience), undefined, { signal });
    }
  };
}

/** One request, whose token never leaves the hub's host. */
function fetchOnce({ env, signal }: FetchContext, patienceMs: number): typeof fetch {
  const token = tokenFor(env);
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers: Record<string, string> = {};
    new Headers(init?.headers).forEach((value, name) => (headers[name] = value));
    delete headers.authorization;
    if (token?.origin === url.origin) headers.authorization = `Bearer ${token.value}`;
    const late = AbortSignal.timeout(patienceMs);
    const options = {
      headers,
      dispatcher: await dispatcherFor(env),
      signal: signal ? AbortSignal.any([signal, late]) : late,
    };
    const client = await undici();
    return (await client.fetch(url, options)) as unknown as Response;
  };
}

function explained(error: unknown, hubUrl: string): AxllmError {
  if (error instanceof HttpFault) return new HttpFault(`${hubUrl}: ${error.message}`, error.kind);
  if (error instanceof AxllmError) return error;
  const { statusCode, message, cause, name } = error as Error & { statusCode?: number };
  if (statusCode === 401 || statusCode === 403)
    return new AxllmError('gated', `HTTP ${statusCode} from ${hubUrl}`);
  if (statusCode === 404) {
    return new AxllmError('not_found', `${hubUrl} has no such repository`, { hint: 'check the spelling' });
  }
  if (statusCode !== undefined) return new HttpFault(`HTTP ${statusCode} from ${hubUrl}`, 'refused');
  const reason = name === 'TimeoutError' ? 'no answer' : cause instanceof Error ? cause.message : message;
  return new AxllmError('download_failed', `${hubUrl} cannot be reached: ${reason}`, {
    hint: 'check the network and the proxy; HF_ENDPOINT names another hub',
  });
}
