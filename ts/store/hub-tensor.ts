/** The embeddings of a repository without the rest of its weights: the file's header, then the bytes of one tensor. */
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AxllmError } from '../errors.js';
import { Digest } from './digest.js';
import { requireRoom } from './disk.js';
import { refusal } from './download.js';
import type { FetchContext } from './fetch.js';
import { HttpFault, faultOf, get } from './http.js';
import { hubUrl, tokenFor } from './hub-host.js';
import { listFiles, type HubFile } from './hub-listing.js';
import { explained } from './hub.js';
import { defaultPatience, waitBefore } from './patience.js';

/** What transformers calls the matrix in the families that this program runs. */
const tensorName = 'model.embed_tokens.weight';
/** The format's own limit. */
const maxHeader = 100_000_000;

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/**
 * Makes `folder` one in Hugging Face layout that holds that one tensor. `undefined` where `repo` has no safetensors.
 */
export async function fetchEmbeddingTensor(
  repo: string,
  folder: string,
  context: FetchContext,
): Promise<string | undefined> {
  try {
    const { commit, files } = await listFiles(repo, context);
    const remote = (file: HubFile) => new RemoteBytes(hubUrl(repo, file.path, commit, context.env), context);
    const file = await fileOf(files, remote);
    if (file === undefined) return undefined;
    context.log.info(`Reading ${tensorName} from ${file.path} of ${repo} at ${commit.slice(0, 8)}`);
    await copyTensor(remote(file), file, folder, context);
    // the reader wants one; of the tensor it says nothing
    await writeFile(join(folder, 'config.json'), '{}\n');
    return folder;
  } catch (thrown) {
    context.signal?.throwIfAborted();
    throw explained(repo, thrown, context);
  }
}

/** The file with the tensor, which an index names where there are several. */
async function fileOf(
  files: readonly HubFile[],
  remote: (file: HubFile) => RemoteBytes,
): Promise<HubFile | undefined> {
  const named = (name: string) => files.find(({ path }) => path === name);
  const single = named('model.safetensors');
  const index = named('model.safetensors.index.json');
  if (single || !index) return single;
  const text = await remote(index).read(0, index.size ?? 0);
  const digest = new Digest(index);
  digest.update(text);
  digest.check(index.path);
  const { weight_map: map } = parse(text, index.path) as { weight_map?: Record<string, string> };
  const shard = map?.[tensorName];
  const found = typeof shard === 'string' ? named(shard) : undefined;
  if (!found) throw damaged(index.path, `it names no file of the repository for ${tensorName}`);
  return found;
}

async function copyTensor(
  remote: RemoteBytes,
  { path, size = 0 }: HubFile,
  folder: string,
  { progress }: FetchContext,
): Promise<void> {
  const length = Number((await remote.read(0, 8)).readBigUInt64LE());
  if (length > Math.min(maxHeader, size - 8)) throw damaged(path, `its header is ${length} bytes long`);
  const entry = (parse(await remote.read(8, 8 + length), path) as Record<string, Entry | undefined>)[
    tensorName
  ];
  if (!entry) throw damaged(path, `it holds no ${tensorName}`);
  const [from, to] = Array.isArray(entry.data_offsets) ? entry.data_offsets : [0, 0];
  const start = 8 + length;
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || to <= from || start + to > size)
    throw damaged(path, `${tensorName} lies from ${from} to ${to}, in a file of ${size} bytes`);
  const { dtype, shape } = entry;
  const text = JSON.stringify({ [tensorName]: { dtype, shape, data_offsets: [0, to - from] } });
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  // once as it is fetched, once more as it is written
  await requireRoom(folder, 2 * (to - from));
  const file = await open(join(folder, 'model.safetensors'), 'wx');
  const shown = progress(tensorName, to - from);
  try {
    await file.writeFile(Buffer.concat([prefix, header]));
    let done = 0;
    for await (const chunk of remote.stream(start + from, start + to)) {
      await file.writeFile(chunk);
      shown.update((done += chunk.length));
    }
  } finally {
    shown.end();
    await file.close();
  }
}

/** A file of the hub that is read in parts; a broken transfer goes on where it broke. */
class RemoteBytes {
  constructor(
    private readonly url: string,
    private readonly context: FetchContext,
  ) {}

  async read(from: number, to: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const chunk of this.stream(from, to)) parts.push(chunk);
    return Buffer.concat(parts);
  }

  async *stream(from: number, to: number): AsyncGenerator<Buffer> {
    const { patience = defaultPatience, signal } = this.context;
    let at = from;
    for (let failures = 0; at < to;) {
      const before = at;
      try {
        for await (const chunk of this.attempt(at, to)) {
          at += chunk.length;
          yield chunk;
        }
        if (at < to) throw new HttpFault(`${this.url} ended at byte ${at} of ${to}`, 'broken');
      } catch (error) {
        signal?.throwIfAborted();
        failures = at > before ? 1 : failures + 1;
        const fault = error instanceof HttpFault ? error : undefined;
        if (fault?.kind !== 'broken' || failures > patience.retries) throw error;
        await sleep(waitBefore(failures, fault, patience), undefined, { signal });
      }
    }
  }

  private async *attempt(from: number, to: number): AsyncGenerator<Buffer> {
    const { env, signal, patience = defaultPatience } = this.context;
    const { connectMs, stallMs } = patience;
    const headers = { range: `bytes=${from}-${to - 1}` };
    const answer = await get({ url: this.url, env, token: tokenFor(env), headers, signal, connectMs });
    const stalled = new HttpFault(`no data for ${stallMs / 1000} s`, 'broken');
    const timer = setTimeout(() => answer.abort(stalled), stallMs);
    try {
      const { status, header } = answer;
      if (status !== 200 && status !== 206) throw refusal(answer);
      const got = /^bytes (\d+)-/.exec(header('content-range') ?? '')?.[1];
      if (status === 206 && Number(got) !== from) {
        throw new HttpFault(`asked from byte ${from}, got byte ${got}`, 'refused');
      }
      // a server without ranges begins at the beginning
      let skip = status === 200 ? from : 0;
      let left = to - from;
      for await (const chunk of answer.body) {
        timer.refresh();
        const part = chunk.subarray(Math.min(skip, chunk.length)).subarray(0, left);
        skip = Math.max(0, skip - chunk.length);
        left -= part.length;
        if (part.length > 0) yield part;
        if (left === 0) return;
      }
    } catch (error) {
      throw error instanceof AxllmError ? error : faultOf(error);
    } finally {
      clearTimeout(timer);
      answer.abort(new HttpFault('done', 'broken'));
    }
  }
}

function parse(text: Buffer, path: string): unknown {
  try {
    const value: unknown = JSON.parse(text.toString());
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // told below
  }
  throw damaged(path, 'what should be JSON is none');
}

function damaged(path: string, why: string): AxllmError {
  return new AxllmError('bad_model_file', `${path} cannot be read: ${why}`, {
    hint: 'is it a language model with safetensors of the Llama, Mistral, Phi or Qwen family?',
  });
}
