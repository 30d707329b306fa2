/** The vendor's server on the loopback: the published cards under their own names, with a small model behind them. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../ts/package-root.js';
import { compiledFolder, compiledName } from '../../ts/store/compiled.js';
import { axllm, sharedRoot } from './cli.js';

const model = 'smollm2-135m-instruct';

/** What a user has who has only installed the program; `close` ends the server. */
export interface World {
  /** Variables under which the guide's commands run as they stand there: the card is the simulated one. */
  readonly env: Record<string, string>;
  readonly buildRoot: string;
  /** Paths that were asked for. */
  readonly asked: string[];
  close(): void;
}

/** Serves the files of the published cards `names`, as the shipped cards name them. */
export async function published(names: readonly string[]): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'axllm-published-'));
  const set = await compiledSet();
  // a copy: the weights are a link to the default model's, and tar refuses a file that somebody links meanwhile
  cpSync(join(set.folder, 'model'), join(folder, 'model'), { recursive: true });
  const served = new Map<string, string>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const file = served.get(request.url ?? '');
    if (file === undefined) response.writeHead(404).end();
    else createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cards = join(folder, 'config', 'axllm', 'models');
  mkdirSync(cards, { recursive: true });
  for (const name of names) {
    let text = readFileSync(join(packageRoot, 'models', `${name}.yaml`), 'utf8');
    const archive = join(folder, `${name}.tar.gz`);
    // the layout of a published archive: <model>/model/model.json and its binaries
    const inside = `s,^model,${name}/model,`;
    execFileSync('tar', ['-C', folder, '-I', 'gzip -1', '--transform', inside, '-cf', archive, 'model']);
    for (const [stem, file] of [
      ['precompiled', archive],
      ['embeddings', set.embeddings],
      ['tokenizer', set.tokenizer],
    ] as const) {
      const url = new RegExp(`${stem}_url: https://[^/]+(/\\S+)`).exec(text)?.[1];
      if (url === undefined) throw new Error(`${name} has no ${stem}_url`);
      served.set(url, file);
      const md5 = createHash('md5').update(readFileSync(file)).digest('hex');
      text = text.replace(new RegExp(`${stem}_md5: \\S+`), `${stem}_md5: ${md5}`);
    }
    writeFileSync(join(cards, `${name}.yaml`), text.replaceAll('https://llm.axelera.ai', host));
  }
  const buildRoot = join(folder, 'build');
  return {
    env: {
      AXELERA_BUILD_ROOT: buildRoot,
      AXELERA_DEVICE_SELECTOR: 'sim',
      XDG_CONFIG_HOME: join(folder, 'config'),
    },
    buildRoot,
    asked,
    close() {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The default model for the simulated card, which the first use of `-d sim` compiles. */
async function compiledSet() {
  const name = compiledName(model, 1024);
  const folder = join(compiledFolder(sharedRoot, model, 1024), name);
  if (!existsSync(folder)) await axllm(['-d', 'sim', '-q', '-n', '1', '--prompt', 'Hi']);
  return {
    folder,
    embeddings: join(folder, `${name}_embeddings.npz`),
    tokenizer: join(folder, `${name}_tokenizer.zip`),
  };
}
