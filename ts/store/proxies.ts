/** How connections are made: the proxy variables as curl reads them, and certificates beside those of the system. */
import { readFileSync } from 'node:fs';
import type { Dispatcher } from 'undici';
import { AxllmError } from '../errors.js';
import type { Env } from '../terminal.js';

/**
 * Loaded by those who download; a bundle of it has its names in the default export only. Pinned to 7.25: later ones
 * for Node 20 end the process when a server closes while data waits to be read (nodejs/undici#5360).
 */
export const undici = async () => (await import('undici')).default;

let dispatcher: { key: string; made: Promise<Dispatcher> } | undefined;

/** The agent that the variables ask for; `ALL_PROXY` stands in for the two others. */
export function dispatcherFor(env: Env): Promise<Dispatcher> {
  const settings = {
    httpProxy: proxyIn(env, 'http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'),
    httpsProxy: proxyIn(env, 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'),
    noProxy: env.no_proxy || env.NO_PROXY || '',
    certificates: env.SSL_CERT_FILE || '',
    more: (env.SSL_CERT_FILE && env.NODE_EXTRA_CA_CERTS) || '',
  };
  const key = JSON.stringify(settings);
  if (dispatcher?.key !== key) dispatcher = { key, made: makeDispatcher(settings) };
  return dispatcher.made;
}

/** The first of `names` that is set, as an address; without a scheme it is HTTP. */
function proxyIn(env: Env, ...names: string[]): string {
  const name = names.find((each) => env[each]);
  if (name === undefined) return '';
  const text = env[name]!.includes('://') ? env[name]! : `http://${env[name]}`;
  // the name is looked up by the proxy either way
  const address = text.replace(/^socks5?h?:/i, 'socks5:');
  if (URL.canParse(address) && /^(https?|socks5):$/.test(new URL(address).protocol)) return address;
  throw new AxllmError('invalid_option', `${name} is no proxy that axllm can use: ${shown(text)}`, {
    hint: 'give an address that begins with http://, https:// or socks5://, or unset it',
  });
}

/** Without name and password. */
function shown(address: string): string {
  return address.replace(/\/\/[^/@]*@/, '//');
}

async function makeDispatcher({
  certificates,
  more,
  ...proxies
}: Record<'certificates' | 'more' | 'httpProxy' | 'httpsProxy' | 'noProxy', string>): Promise<Dispatcher> {
  const { EnvHttpProxyAgent } = await undici();
  // loaded by those who need it: every start would pay for it
  const own = certificates && [
    ...(await import('node:tls')).rootCertificates,
    certificatesIn('SSL_CERT_FILE', certificates),
    ...(more ? [certificatesIn('NODE_EXTRA_CA_CERTS', more)] : []),
  ];
  const ca = own ? { ca: own } : undefined;
  return new EnvHttpProxyAgent({ ...proxies, ...(ca && { connect: ca, requestTls: ca, proxyTls: ca }) });
}

function certificatesIn(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason = (error as Error).message;
    throw new AxllmError('invalid_option', `${name} names certificates that cannot be read: ${reason}`, {
      hint: `correct ${name}, or unset it`,
    });
  }
}
