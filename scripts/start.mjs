// npm start -- …: builds what is stale, then is the command line itself.
import { ensureBuilt } from './steps.mjs';

ensureBuilt();
await import('../dist/cli.js');
