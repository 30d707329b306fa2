/** Whose turn it is: the queue and the choice of KV caches, on a real model. */
import test from 'ava';
import { load } from '../ts/index.js';
import { FairQueue } from '../ts/server/fair-queue.js';
import { Lane, prefixKey } from '../ts/server/lane.js';
import { Scheduler } from '../ts/server/scheduler.js';
import { temporary } from './helpers/folder.js';
import { writeTinyModel } from './helpers/tiny-model.js';

const never = new AbortController().signal;
const key = (...contents: string[]) => prefixKey(contents.map((content) => ({ role: 'user', content })));
const by = (owner: string) => ({ owner, scope: 'all' as const });

test('owners take turns in the queue, and each one’s requests keep their order', (t) => {
  const queue = new FairQueue<string>();
  for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) queue.push(item[0]!, item);
  t.deepEqual([...queue], ['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
  t.is(queue.size, 6);
  t.true(queue.remove('a', 'a2'));
  t.false(queue.remove('a', 'a2'));
  t.false(queue.remove('x', 'a1'));
  t.deepEqual(
    Array.from({ length: 6 }, () => queue.shift()),
    ['a1', 'b1', 'c1', 'a3', 'c2', undefined],
  );
  t.is(queue.size, 0);
});

test('one caller’s many requests do not hold up another’s one, and places are told', async (t) => {
  using model = await load(writeTinyModel(temporary(t)), { pipeline: 'transformers' });
  const lane = new Lane(model, 1);
  const scheduler = new Scheduler([lane], 10);
  const first = await scheduler.acquire({ identity: by('a'), key: '', signal: never });
  const served: string[] = [];
  const told: number[] = [];
  const ask = async (name: string, onPosition?: (n: number) => void) => {
    const wish = { identity: by(name[0]!), key: '', signal: never, ...(onPosition ? { onPosition } : {}) };
    const place = await scheduler.acquire(wish);
    served.push(name);
    place.release('');
  };
  const stop = new AbortController();
  const leaving = scheduler.acquire({ identity: by('c'), key: '', signal: stop.signal });
  const all = [ask('a1'), ask('a2'), ask('a3'), ask('b1', (n) => told.push(n))];
  t.deepEqual([scheduler.queued, scheduler.running], [5, 1]);
  stop.abort(new Error('left'));
  await t.throwsAsync(leaving, { message: 'left' });
  first.release('');
  await Promise.all(all);
  t.deepEqual(served, ['a1', 'b1', 'a2', 'a3']);
  // behind the one that left and a1, then behind a1, then next
  t.deepEqual(told, [3, 2, 1]);
  t.deepEqual([scheduler.queued, scheduler.running], [0, 0]);
  lane.dispose();
});

test('a full queue refuses at once, a caller may be held to one request', async (t) => {
  using model = await load(writeTinyModel(temporary(t)), { pipeline: 'transformers' });
  const lane = new Lane(model, 1);
  const scheduler = new Scheduler([lane], 1);
  const place = await scheduler.acquire({ identity: { ...by('a'), atOnce: 1 }, key: '', signal: never });
  await t.throwsAsync(scheduler.acquire({ identity: { ...by('a'), atOnce: 1 }, key: '', signal: never }), {
    message: /still being answered/,
  });
  const waiting = scheduler.acquire({ identity: by('b'), key: '', signal: never });
  await t.throwsAsync(scheduler.acquire({ identity: by('c'), key: '', signal: never }), {
    message: /Too many/,
  });
  place.release('');
  (await waiting).release('');
  const again = await scheduler.acquire({ identity: { ...by('a'), atOnce: 1 }, key: '', signal: never });
  again.release('');
  lane.dispose();
});

test('what keeps nothing takes a place but no conversation’s cache, and is let in once for all its parts', async (t) => {
  using model = await load(writeTinyModel(temporary(t)), { pipeline: 'transformers' });
  const lane = new Lane(model, 2);
  const scheduler = new Scheduler([lane], 1);
  (await scheduler.acquire({ identity: by('a'), key: '', signal: never })).release(key('other'));
  const before = lane.overlap('a', key('other'));
  t.true(before > 0);
  const seats = [
    await scheduler.acquire({ identity: by('a'), signal: never }),
    await scheduler.acquire({ identity: by('a'), signal: never }),
  ];
  t.deepEqual([scheduler.running, lane.free], [2, false]);
  t.is(lane.overlap('a', key('other')), before, 'the cache is idle and holds what it held');
  const waiting = scheduler.acquire({ identity: by('b'), key: '', signal: never });
  await t.throwsAsync(scheduler.acquire({ identity: by('c'), signal: never }), { message: /Too many/ });
  const next = scheduler.acquire({ identity: by('a'), signal: never, admitted: true });
  seats[0]!.release();
  (await waiting).release('');
  (await next).release();
  seats[1]!.release();
  t.deepEqual([scheduler.queued, scheduler.running], [0, 0]);
  lane.dispose();
});

test('a request gets the cache that has read most of it, never another owner’s', async (t) => {
  using model = await load(writeTinyModel(temporary(t)), { pipeline: 'transformers' });
  const lane = new Lane(model, 3);
  const use = (owner: string, wanted: string, now = wanted) => {
    const lease = lane.lease(owner, wanted);
    lease.release(now);
    return lease.slot;
  };
  const weather = use('a', key('What about the weather?'), key('What about the weather?', 'Rain'));
  const music = use('a', key('A song'), key('A song', 'La'));
  t.not(weather, music);
  t.is(use('a', key('What about the weather?', 'Rain', 'And tomorrow?')), weather);
  t.is(use('a', key('A song', 'La', 'More')), music);
  const stranger = use('b', key('A song', 'La', 'More'));
  t.not(stranger, music);
  t.is(lane.overlap('c', key('A song', 'La', 'More')), 0);
  // all are taken: the one that was idle longest is forgotten
  t.is(use('c', key('Something else')), weather);
  t.true(lane.overlap('a', key('What about the weather?', 'Rain')) < 'user What'.length);
  // two lanes: the one that knows more
  const other = new Lane(model, 1);
  const scheduler = new Scheduler([other, lane], 1);
  const place = await scheduler.acquire({ identity: by('a'), key: key('A song', 'La', 'x'), signal: never });
  t.is(place.lane, lane);
  place.release('');
  for (const each of [lane, other]) each.dispose();
});
