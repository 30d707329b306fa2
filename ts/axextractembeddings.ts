#!/usr/bin/env node
/** `axextractembeddings`: `axllm extract-embeddings` under the name that the vendor's guide gives it. */
process.argv.splice(2, 0, 'extract-embeddings');
await import('./cli.js');
