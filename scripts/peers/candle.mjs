// candle, as a program of ours around its own quantised llama (scripts/peers/candle), built into the peers' folder.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { releaseFolder } from '../freshness.mjs';

/** Its two measurements in tokens a second, or `undefined`, which is said, where it does not build or run. */
export function candle(folder, smol) {
  const target = join(folder, 'candle', 'target');
  const program = join(releaseFolder(target), 'candle-speed');
  if (!existsSync(program)) {
    const args = [
      'build',
      '--release',
      '-q',
      '--locked',
      '--manifest-path',
      'scripts/peers/candle/Cargo.toml',
    ];
    const env = { ...process.env, CARGO_TARGET_DIR: target, RUSTFLAGS: '-C target-cpu=native' };
    if (spawnSync('cargo', args, { env, stdio: 'inherit' }).status !== 0) {
      console.error('candle does not build here: left out');
      return undefined;
    }
  }
  const speed = ({ path }, threads, ...numbers) => {
    const env = { ...process.env, RAYON_NUM_THREADS: String(threads) };
    return Number(execFileSync(program, [path, ...numbers.map(String)], { encoding: 'utf8', env }));
  };
  try {
    speed(smol, 2, 8, 0, 0);
  } catch (error) {
    console.error(`candle does not run here: left out (${String(error.message).split('\n')[0]})`);
    return undefined;
  }
  return {
    prompt: (file, threads) => speed(file, threads, 512, 0, 0),
    decode: (file, threads, tokens, depth) => speed(file, threads, 0, tokens, depth),
  };
}
