/** The page: files that the build made, read once into memory. No request reaches the file system. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { packageRoot } from '../package-root.js';
import { route, type Route } from './route.js';

const kinds: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
};

/** A file of the page. */
export interface Asset {
  readonly type: string;
  readonly body: Buffer;
}

/** The files of `dist/web` by their paths; none where the page was not built. */
export function builtAssets(folder = join(packageRoot, 'dist', 'web')): Map<string, Asset> {
  const assets = new Map<string, Asset>();
  if (!existsSync(folder)) return assets;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const type = kinds[extname(entry.name)];
    if (!entry.isFile() || type === undefined) continue;
    assets.set(`/${entry.name}`, { type, body: readFileSync(join(folder, entry.name)) });
  }
  return assets;
}

/** One route a file; `/` is `index.html`, or a line of text where there is no page. */
export function assetRoutes(assets: ReadonlyMap<string, Asset>): Route[] {
  const home = assets.get('/index.html') ?? {
    type: 'text/plain; charset=utf-8',
    body: Buffer.from('axllm is running\n'),
  };
  return [['/', home] as const, ...assets].map(([path, asset]) => assetRoute(path, asset));
}

function assetRoute(path: string, { type, body }: Asset): Route {
  const tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return route({
    method: 'GET',
    path,
    access: 'open',
    style: 'openai',
    summary: 'A file of the page.',
    handle({ request, response }) {
      response.setHeader('Cache-Control', 'no-cache');
      response.setHeader('ETag', tag);
      if (request.headers['if-none-match'] === tag) return void response.writeHead(304).end();
      response.writeHead(200, { 'Content-Type': type, 'Content-Length': body.length });
      response.end(body);
    },
  });
}
