/** A process of its own that fetches one file, and says so as soon as bytes arrive. */
import { ensureFile } from '../../ts/store/fetch.js';

const { root, remote } = JSON.parse(process.env.FETCH ?? '') as { root: string; remote: never };
const quiet = () => undefined;
const progress = () => ({ update: (done: number) => void process.stdout.write(`${done}\n`), end: quiet });
await ensureFile(remote, 'm', {
  root,
  env: {},
  offline: false,
  progress,
  log: { debug: quiet, info: quiet, warning: quiet },
});
