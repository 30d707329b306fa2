/** A hub on the loopback: the parts of its interface that a download needs, and a storage host of its own. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { honest, type Fault } from './netfault.js';
import { serve } from './server.js';

export interface FakeRepository {
  commit: string;
  /** Files of more than 1,000 bytes lie in large-file storage. */
  files: Record<string, Buffer>;
  /** Only for this token. */
  token?: string;
}

const fixtures = join(import.meta.dirname, '..', '..', 'crates', 'test-support');

/** A whole tiny model in Hugging Face layout; the tokenizers of some families have more tokens than it. */
export function folderFiles(family: 'smollm2' | 'qwen3' = 'smollm2'): Record<string, Buffer> {
  const folders = ['families', 'tokenizers'].map((kind) => join(fixtures, kind, family));
  return Object.fromEntries(
    folders.flatMap((folder) => readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))])),
  );
}

const git = (body: Buffer) => createHash('sha1').update(`blob ${body.length}\0`).update(body).digest('hex');
const sha256 = (body: Buffer) => createHash('sha256').update(body).digest('hex');
const isLarge = (body: Buffer) => body.length > 1000;

/**
 * Serves `repositories`, which may be changed while it runs; `tamper` may spoil what the storage sends, and each request
 * for a listing takes the next of `trouble`.
 */
export async function fakeHub(
  t: Pick<ExecutionContext, 'teardown'>,
  repositories: Record<string, FakeRepository>,
  tamper?: Fault,
  trouble: (Fault | undefined)[] = [],
) {
  const stored = new Map<string, Buffer>();
  const storage = await serve(t, (request, response) => {
    const body = stored.get(request.url ?? '');
    if (!body) return void response.writeHead(404).end();
    (tamper ?? honest)(request, response, { body, etag: `"${sha256(body)}"` });
  });
  const hub = await serve(t, (request, response) => {
    const url = new URL(request.url ?? '', 'http://hub');
    const json = (value: unknown, status = 200) =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const [, kind, name, rest = ''] = /^\/(api\/models\/)?([\w.-]+\/[\w.-]+)\/(.*)$/.exec(url.pathname) ?? [];
    const repository = repositories[name ?? ''];
    if (!repository) return json({ error: 'Repository not found' }, 404);
    const fault = kind && trouble.shift();
    if (fault) return fault(request, response, { body: Buffer.alloc(0), etag: '' });
    const { commit, files, token } = repository;
    if (
      token !== undefined &&
      request.headers.authorization !== `Bearer ${token}` &&
      !rest.startsWith('revision')
    ) {
      response.setHeader('x-error-code', 'GatedRepo');
      return json({ error: `Access to model ${name} is restricted.` }, 401);
    }
    if (kind && rest.startsWith('revision/'))
      return json({ _id: '1', id: name, sha: commit, gated: !!token });
    if (kind && rest === `tree/${commit}`) return json(Object.entries(files).map(entry));
    const file = rest.startsWith(`resolve/${commit}/`)
      ? files[rest.slice(`resolve/${commit}/`.length)]
      : undefined;
    if (!file) return json({ error: 'Entry not found' }, 404);
    if (!isLarge(file)) return void response.end(file);
    stored.set(`/${sha256(file)}`, file);
    response.writeHead(302, { location: `${storage.url}/${sha256(file)}` }).end();
  });
  return { url: hub.url, seen: hub.seen, storage };
}

function entry([path, body]: [string, Buffer]) {
  const common = { type: 'file', oid: git(body), size: body.length, path };
  return isLarge(body)
    ? { ...common, lfs: { oid: sha256(body), size: body.length, pointerSize: 130 } }
    : common;
}

/** Puts `files` where Python's client keeps what it has downloaded. */
export function pythonCache(
  home: string,
  repo: string,
  commit: string,
  files: Record<string, Buffer>,
  fs: typeof import('node:fs'),
) {
  const folder = `${home}/hub/models--${repo.replace('/', '--')}`;
  for (const part of ['blobs', `snapshots/${commit}`, 'refs'])
    fs.mkdirSync(`${folder}/${part}`, { recursive: true });
  fs.writeFileSync(`${folder}/refs/main`, commit);
  for (const [name, body] of Object.entries(files)) {
    fs.writeFileSync(`${folder}/blobs/${sha256(body)}`, body);
    fs.symlinkSync(`../../blobs/${sha256(body)}`, `${folder}/snapshots/${commit}/${name}`);
  }
  return `${folder}/snapshots/${commit}`;
}
