export default {
  extensions: { ts: 'module' },
  nodeArguments: ['--import=tsx'],
  files: ['__test__/**/*.spec.ts'],
  timeout: '10m',
  workerThreads: false,
  concurrency: 2,
  failWithoutAssertions: true,
};
