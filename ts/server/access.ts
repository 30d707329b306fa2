/**
 * Who a caller is: the one authentication path. A key (Bearer or x-api-key) or the cookie for which the page has
 * exchanged a token; where a door needs neither, everybody is the owner of the machine.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** A caller that is let in. */
export interface Identity {
  /** Whose conversations these are: KV caches are never shared between two owners. */
  readonly owner: string;
  /** `all`: every route; `page`: what the page needs. */
  readonly scope: 'all' | 'page';
  /** Requests at once; absent: as many as the server takes. */
  readonly atOnce?: number;
}

/** A secret that a page may exchange for a cookie. */
export interface TokenOptions {
  /** How often; absent: as often as it is asked. */
  readonly uses?: number;
  /** Milliseconds since the epoch after which neither it nor its cookies count. */
  readonly expires?: number;
  readonly scope?: Identity['scope'];
  readonly atOnce?: number;
  /** Cookies at once; one more ends the one that was not used for longest. */
  readonly sessions?: number;
}

interface Token extends TokenOptions {
  left: number;
}

interface Visitor extends Identity {
  readonly expires: number;
  /** The token that it came with. */
  readonly token: string;
}

/** Cookies that a token keeps at once unless it says otherwise. */
const mostSessions = 100;

/** Wrong guesses a minute that are answered at once; each further one waits. */
const freeGuesses = 5;
const guessDelayMs = 1000;

/** A random secret of 32 bytes, fit for an address. */
export function randomSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** The keys, tokens and cookies of one server. Secrets are kept and compared as hashes. */
export class Access {
  private readonly tokens = new Map<string, Token>();
  private readonly visitors = new Map<string, Visitor>();
  private readonly key: Buffer | undefined;
  private readonly guesses: number[] = [];

  constructor(key: string | undefined) {
    this.key = key === undefined ? undefined : digest(key);
  }

  get needsKey(): boolean {
    return this.key !== undefined;
  }

  /** Makes a token; `revoke` also ends the cookies that were given for it. */
  issue(options: TokenOptions = {}): { readonly token: string; revoke(): void } {
    const token = randomSecret();
    const name = hex(token);
    this.tokens.set(name, { ...options, left: options.uses ?? Number.POSITIVE_INFINITY });
    const revoke = () => {
      this.tokens.delete(name);
      for (const [cookie, visitor] of this.visitors) {
        if (visitor.token === name) this.visitors.delete(cookie);
      }
    };
    return { token, revoke };
  }

  /** The cookie for a token or for the key itself; `undefined` where it is neither. */
  exchange(secret: string): string | undefined {
    if (this.isKey(secret)) return this.admit({ scope: 'all' }, 'key', 'key');
    const name = hex(secret);
    const token = this.tokens.get(name);
    if (!token || token.left <= 0 || Date.now() > (token.expires ?? Infinity)) return undefined;
    token.left -= 1;
    return this.admit(token, name, randomBytes(8).toString('hex'));
  }

  /** Who sends this request; `open`: nobody needs a key where there is none. */
  identify({ headers }: IncomingMessage, cookieName: string, open: boolean): Identity | undefined {
    const [scheme, bearer] = (headers.authorization ?? '').split(' ', 2);
    const given = scheme?.toLowerCase() === 'bearer' ? bearer : headers['x-api-key'];
    if (typeof given === 'string' && given !== '' && this.isKey(given)) return { owner: 'key', scope: 'all' };
    const cookie = cookieOf(headers.cookie, cookieName);
    const visitor = cookie === undefined ? undefined : this.visitors.get(hex(cookie));
    if (visitor && Date.now() <= visitor.expires) return this.seen(cookie!, visitor);
    return open && !this.needsKey ? { owner: 'local', scope: 'all' } : undefined;
  }

  /** Somebody gave a secret that is none: a random one is not guessed, and a short key of the user's must not be. */
  async guessed(): Promise<void> {
    const now = Date.now();
    while (this.guesses.length > 0 && this.guesses[0]! < now - 60_000) this.guesses.shift();
    this.guesses.push(now);
    if (this.guesses.length > freeGuesses) await new Promise((resolve) => setTimeout(resolve, guessDelayMs));
  }

  /** The map is in the order of last use. */
  private seen(cookie: string, visitor: Visitor): Visitor {
    const name = hex(cookie);
    this.visitors.delete(name);
    this.visitors.set(name, visitor);
    return visitor;
  }

  private admit(options: TokenOptions, token: string, owner: string): string {
    const { scope = 'page', atOnce, expires = Infinity, sessions = mostSessions } = options;
    const others = [...this.visitors].filter(([, visitor]) => visitor.token === token);
    for (const [cookie] of others.slice(0, Math.max(0, others.length + 1 - sessions))) {
      this.visitors.delete(cookie);
    }
    const cookie = randomSecret();
    const limit = atOnce === undefined ? {} : { atOnce };
    this.visitors.set(hex(cookie), { owner, scope, expires, token, ...limit });
    return cookie;
  }

  private isKey(given: string): boolean {
    return this.key !== undefined && timingSafeEqual(digest(given), this.key);
  }
}

function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function hex(secret: string): string {
  return digest(secret).toString('hex');
}

function cookieOf(header: string | undefined, name: string): string | undefined {
  const pairs = (header ?? '').split(';').map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
}
