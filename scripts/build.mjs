// npm run build: everything that is stale.
import { ensureBuilt } from './steps.mjs';

ensureBuilt();
