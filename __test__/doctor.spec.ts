/** Each link of the chain, broken in the real path: a root of files, a library and a device given from outside. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import type { Link } from '../ts/doctor/links.js';
import { older } from '../ts/doctor/fit.js';
import { packageRoot } from '../ts/package-root.js';
import { axllm, cleanEnv, cliFile, simulator } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';

const test = anyTest.serial;

/** A machine with a Metis, as files. */
function machine(t: ExecutionContext): string {
  const root = temporary(t);
  chmodSync(root, 0o755);
  const put = (path: string, text: string) => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const card = 'sys/bus/pci/devices/0000:01:00.0';
  put(`${card}/vendor`, '0x1f9d\n');
  put(`${card}/device`, '0x1100\n');
  put(`${card}/class`, '0x120000\n');
  put('proc/modules', 'metis 90112 0 - Live 0x0\n');
  put('sys/module/metis/version', '1.6.2\n');
  put('dev/metis-0:1:0', '');
  return root;
}

const card = { AXLLM_RUNTIME_LIB: simulator, AXSIM_NAMES: 'metis-0:1:0' };

async function doctor(env: Record<string, string>, ...args: string[]) {
  const run = await axllm(['doctor', '--json', '-q', ...args], { env: { ...card, ...env } });
  const { healthy, links } = JSON.parse(run.stdout) as { healthy: boolean; links: Link[] };
  return { ...run, healthy, links, of: (name: string) => links.find(({ link }) => link === name) };
}

test('all links of a machine with a card, ending in a token of the runtime', async (t) => {
  // a real card's name makes it a real card: the default model has no build for those, the simulator's name has
  const run = await doctor({ AXLLM_SYSTEM_ROOT: machine(t), AXSIM_NAMES: 'metis-sim:0' });
  t.is(run.status, 0, run.stdout);
  t.true(run.healthy);
  t.deepEqual(
    run.links.map(({ link, status }) => [link, status]),
    [
      'pci card',
      'kernel module',
      'device node',
      'permission',
      'runtime library',
      'runtime version',
      'device list',
      'versions',
      'memory',
      'token on the AIPU',
    ].map((link) => [link, 'ok']),
  );
  t.regex(run.of('pci card')?.seen ?? '', /01:00\.0 Processing accelerators: Device 1f9d:1100/);
});

test('a model without a build for the card fails at the token, and says so', async (t) => {
  const run = await doctor({ AXLLM_SYSTEM_ROOT: machine(t) });
  t.is(run.status, 1);
  t.regex(run.of('token on the AIPU')?.seen ?? '', /no_compiled_model/);
});

const broken: [string, (root: string) => void, Record<string, string>, string, RegExp][] = [
  ['kernel module', (root) => rmSync(join(root, 'proc/modules')), {}, 'kernel module', /modprobe metis/],
  ['device node', (root) => rmSync(join(root, 'dev/metis-0:1:0')), {}, 'device node', /modprobe -r metis/],
  [
    'runtime library',
    () => undefined,
    { AXLLM_RUNTIME_LIB: '/nowhere.so' },
    'runtime library',
    /AXLLM_RUNTIME_LIB/,
  ],
  ['interface version', () => undefined, { AXSIM_API_VERSION: '2.0' }, 'runtime version', /\S/],
  ['empty device list', () => undefined, { AXSIM_NAMES: '', AXSIM_DEVICES: '0' }, 'device list', /\S/],
  ['device in use', () => undefined, { AXSIM_IN_USE: '0=alice' }, 'device list', /choose another device/],
  [
    'old driver',
    (root) => writeFileSync(join(root, 'sys/module/metis/version'), '1.5.9\n'),
    {},
    'versions',
    /update the driver/,
  ],
  [
    'flashed firmware that does not run yet',
    () => undefined,
    { AXSIM_FIRMWARE: 'v1.2.0/v1.3.0' },
    'versions',
    /switch the machine off and on/,
  ],
  ['little memory', () => undefined, { AXSIM_MEMORY: '1GiB' }, 'memory', /smaller model/],
  [
    'failing run',
    () => undefined,
    { AXSIM_NAMES: 'metis-sim:0', AXSIM_FAULT: 'run@1=RUNTIME_ERROR' },
    'token on the AIPU',
    /\S/,
  ],
];

for (const [what, breakIt, env, link, remedy] of broken) {
  test(`broken: ${what}`, async (t) => {
    const root = machine(t);
    breakIt(root);
    const given = Object.fromEntries(Object.entries({ ...card, ...env }).filter(([, value]) => value !== ''));
    const run = await axllm(['doctor', '--json', '-q'], { env: { AXLLM_SYSTEM_ROOT: root, ...given } });
    t.is(run.status, 1, run.stderr);
    const { healthy, links } = JSON.parse(run.stdout) as { healthy: boolean; links: Link[] };
    t.false(healthy);
    const first = links.find(({ status }) => status === 'failed');
    t.is(first?.link, link as Link['link'], run.stdout);
    t.regex(first?.remedy ?? '', remedy);
    const last = links.at(-1);
    if (last?.link !== link) t.is(last?.status, 'skipped', 'no token is tried on a broken chain');
  });
}

test('broken: the card is gone, but the AIPU is insisted on', async (t) => {
  const run = await doctor({ AXLLM_SYSTEM_ROOT: temporary(t) }, '--pipeline', 'transformers-aipu');
  t.is(run.status, 1);
  t.is(run.of('pci card')?.status, 'failed');
  t.is(run.of('kernel module')?.status, 'skipped');
});

test('broken: the node belongs to another user', (t) => {
  const root = machine(t);
  chmodSync(join(root, 'dev/metis-0:1:0'), 0o000);
  // root may open everything, so the question is asked as nobody
  const uid = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const script = `
    const { systemLinks } = await import(${JSON.stringify(new URL('../ts/doctor/links.ts', import.meta.url).href)});
    const chain = { pci: ['01:00.0'], module: 'metis 1 0', nodes: ['metis-0:1:0'] };
    console.log(JSON.stringify(systemLinks(chain, ${JSON.stringify(root)})));`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  const run = spawnSync(process.execPath, args, {
    ...uid,
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
  });
  const links = JSON.parse(run.stdout) as Link[];
  const link = links.find(({ status }) => status === 'failed');
  t.is(link?.link, 'permission', run.stderr);
  t.regex(link?.remedy ?? '', /usermod/);
});

test('a machine without a card says so, and ends in a token on the CPU and on the simulated card', async (t) => {
  const env = { AXLLM_SYSTEM_ROOT: temporary(t), AXLLM_RUNTIME_LIB: '/nowhere.so' };
  const run = await axllm(['validate'], { env });
  t.is(run.status, 0, run.stderr);
  t.regex(run.stdout, /no Metis card in this machine/);
  t.regex(run.stdout, /^ok +token on the CPU +smollm2/m);
  t.regex(run.stdout, /^ok +token on the simulated card +smollm2.*metis-sim:0/m);
});

test('broken: without a card, the CPU and the simulated card need the model', async (t) => {
  const env = { AXLLM_SYSTEM_ROOT: temporary(t), AXLLM_RUNTIME_LIB: '/nowhere.so' };
  const args = ['--offline', '--build-root', temporary(t)];
  const run = await doctor(env, ...args);
  t.is(run.status, 1);
  for (const link of ['token on the CPU', 'token on the simulated card']) {
    t.like(run.of(link), { status: 'failed' });
    t.regex(run.of(link)?.seen ?? '', /\[offline\]$/);
    t.regex(run.of(link)?.remedy ?? '', /run once without --offline/);
  }
  const human = await axllm(['doctor', '-q', ...args], { env });
  t.is(human.status, 1);
  t.regex(
    human.stdout,
    /^FAILED +token on the CPU .*\n +-> run once[^]*The first broken link: token on the CPU\.$/m,
  );
});

test('broken: an archive for another runtime; which versions go together', async (t) => {
  // the folder tells the SDK's version, as the vendor installs it
  const libraryOf = (sdk: string) => {
    const folder = join(temporary(t), `runtime-${sdk}-1`, 'lib');
    mkdirSync(folder, { recursive: true });
    copyFileSync(simulator, join(folder, 'libaxruntime.so'));
    return join(folder, 'libaxruntime.so');
  };
  const cards = temporary(t);
  const shipped = readFileSync(join(packageRoot, 'models', 'phi3-mini-512-static.yaml'), 'utf8');
  // only the build for SDK 1.8
  const one = shipped.replace(/ {4}precompiled_others:\n( {6}.*\n)+/, '');
  t.not(one, shipped);
  writeFileSync(join(cards, 'phi3-mini-512-static.yaml'), one);
  const root = machine(t);
  for (const [sdk, driver, failure] of [
    ['1.8.0', '1.6.2', undefined],
    ['1.8.0', '1.5.9', /update the driver/],
    ['1.6.0', '1.5.9', /choose a model with an archive for AxModel 4, or install the SDK that takes 5/],
  ] as const) {
    writeFileSync(join(root, 'sys/module/metis/version'), `${driver}\n`);
    const env = { AXLLM_SYSTEM_ROOT: root, AXLLM_RUNTIME_LIB: libraryOf(sdk) };
    const run = await doctor(env, '-m', 'phi3-mini-512-static', '--models-dir', cards, '--offline');
    const link = run.of('versions');
    t.is(link?.status, failure ? 'failed' : 'ok', JSON.stringify(link));
    t.regex(
      link?.seen ?? '',
      new RegExp(`driver ${driver}, runtime for AxModel [45], archives for AxModel 5$`),
    );
    if (failure) t.regex(link?.remedy ?? '', failure);
  }
});

test('broken: the simulated card’s own library', async (t) => {
  const run = await doctor({ AXLLM_SIM_LIB: '/nowhere.so' }, '-d', 'sim');
  t.is(run.status, 1);
  t.is(run.links.find(({ status }) => status === 'failed')?.link, 'runtime library');
});

test('devices: programs get an array, people the vendor’s line and the chain', async (t) => {
  const env = { ...card, AXLLM_SYSTEM_ROOT: machine(t) };
  const listed = JSON.parse((await axllm(['devices', '--json'], { env })).stdout) as Record<
    string,
    unknown
  >[];
  t.like(listed[0], { index: 0, name: 'metis-0:1:0', node: '/dev/metis-0:1:0', memory_bytes: 16 * 2 ** 30 });
  t.like(listed[0]?.driver, { version: '1.6.2' });
  const { stdout } = await axllm(['devices'], { env });
  t.regex(
    stdout,
    /^Device 0: metis-0:1:0 16GiB pcie flver=\S+ bcver=\S+ clock=800MHz\(0-3:800MHz\) mvm=0-3:100% /,
  );
  t.regex(stdout, /^PCI: 01:00\.0 .*\nDriver: metis 90112 0 version 1\.6\.2\nNodes: \/dev\/metis-0:1:0$/m);
});

test('versions are compared by their numbers', (t) => {
  t.true(older('1.5.9', '1.6.2'));
  t.true(older('1.6', '1.6.2'));
  t.false(older('1.6.2', '1.6.2'));
  t.false(older('1.10.0', '1.6.2'));
  t.false(older('1.6.2-rc1', '1.6.2'));
});

test('a full disk behind stdout is a failure', (t) => {
  const line = `${process.execPath} ${cliFile} doctor --pipeline transformers -q > /dev/full; echo $?`;
  t.is(
    execFileSync('bash', ['-c', `exec 2>/dev/null; ${line}`], { env: cleanEnv(), encoding: 'utf8' }).trim(),
    '1',
  );
});
