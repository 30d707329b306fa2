/** How the full-screen chat is built: who may import what. */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import test from 'ava';
import { packageRoot } from '../ts/package-root.js';

const root = join(packageRoot, 'ts');

/** What a file imports at run time; types leave nothing behind. */
function imports(file: string): string[] {
  const found = readFileSync(join(root, file), 'utf8').matchAll(
    /^(?:import|export) (?!type\b)[^;]*? from '([^']+)'/gms,
  );
  return [...found].map(([, name]) =>
    name!.startsWith('.') ? relative(root, join(root, dirname(file), name!)).replace(/\.js$/, '.ts') : name!,
  );
}

function reached(from: string, found = new Set<string>()): Set<string> {
  if (found.has(from)) return found;
  found.add(from);
  for (const name of imports(from)) if (name.startsWith('tui/')) reached(name, found);
  return found;
}

test('only the screen knows blessed', (t) => {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  t.deepEqual(
    files.filter((file) => imports(file).includes('blessed')),
    [join('tui', 'screen.ts')],
  );
});

for (const pure of ['tui/state.ts', 'tui/update.ts', 'tui/view.ts']) {
  test(`${pure} reaches no terminal, no process and no clock`, (t) => {
    const files = [...reached(pure)];
    t.true(files.length >= 1);
    for (const file of files) {
      t.deepEqual(
        imports(file).filter((name) =>
          /^node:|^blessed$|^tui\/(?:screen|effects|run|guardian|rich-chat)\.ts$/.test(name),
        ),
        [],
        file,
      );
      t.notRegex(
        readFileSync(join(root, file), 'utf8'),
        /\bprocess\.|Date\.now|performance\.|setTimeout|Math\.random/,
        file,
      );
    }
  });
}
