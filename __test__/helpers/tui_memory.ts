/**
 * How much memory the full-screen chat takes for what was said, by what one copy of that takes. The loop, its effects,
 * the chat and the layout are real; the model is a script. Prints JSON. Run with the `flags` of tui-memory.spec.ts: V8's
 * own compiled code comes and goes by as much as is measured here.
 */
import { newConversation, type Conversation } from '../../ts/chat/conversation.js';
import { Chat } from '../../ts/model.js';
import { run, type World } from '../../ts/tui/effects.js';
import { Loop, type Clock } from '../../ts/tui/loop.js';
import type { Message } from '../../ts/tui/state.js';
import { bytesOf, settledHeap } from './memory.js';
import { scriptedSession } from './scripted.js';
import { chatState, key, opened, text } from './tui_states.js';

/** 233 characters. */
const part = `Some **bold** words, \`code\` and a [link](https://example.org) in a sentence as long as those that
models write, and a second one that makes a paragraph of it.

- a first point of seven or eight words
- a second one of about as many

`;
const wide = part.replaceAll('sentence', 'Satz – 文');

/** A text with memory of its own, as one that is read from a file or comes from the engine. */
const own = (words: string, times = 1) => Buffer.from(words.repeat(times)).toString();

/** A chat without a terminal: each message is drawn, and each `seenEach`-th piece of a reply. */
function session(answer: string, seenEach: number, onPiece?: (piece: number) => void) {
  let due: (() => void) | undefined;
  const draw = () => {
    const call = due;
    due = undefined;
    call?.();
  };
  const clock: Clock = {
    now: () => 1000,
    after(_, call) {
      due = call;
      return () => (due = undefined);
    },
  };
  const scripted = scriptedSession(() => answer, {
    chunk: 4,
    onPiece(piece) {
      if (piece % seenEach === 0) draw();
      onPiece?.(piece);
    },
  });
  const chat = new Chat(scripted, {});
  const loop: Loop = new Loop(opened(120, 40), {
    clock,
    draw: () => undefined,
    perform: (effect) => (effect.kind === 'reply' ? run(effect, world) : Promise.resolve()),
    fail: (reason) => {
      throw reason;
    },
  });
  const world = { chat, now: clock.now, dispatch: loop.dispatch } as unknown as World;
  const tell = (...messages: readonly Message[]) => {
    for (const message of messages) {
      loop.dispatch(message);
      draw();
    }
  };
  return {
    tell,
    said: () => bytesSaid(loop.state.chat!.conversation),
    async ask(question: string) {
      tell(text(question), key('Enter'));
      while (loop.state.pending) await new Promise((done) => setImmediate(done));
      draw();
    },
    /** Lays each row out: searches in vain, and scrolls from the first to the last. */
    lookAtAll() {
      tell(key('Ctrl-R'), text('1 no such line 2'), key('Enter'), key('Escape'), key('Ctrl-Home'));
      while (loop.state.anchor) tell(key('PageDown'));
    },
  };
}

const bytesSaid = ({ turns }: Conversation) =>
  turns.reduce((sum, { user, assistant }) => sum + bytesOf(user) + bytesOf(assistant), 0);

/** The growth from a short conversation to a long one, both looked at from end to end. */
async function grown(make: (turns: number) => Promise<ReturnType<typeof session>>, turns: number) {
  let kept = await make(20);
  kept = await make(20);
  kept.lookAtAll();
  const before = settledHeap();
  const few = kept.said();
  kept = await make(turns);
  kept.lookAtAll();
  return (settledHeap() - before) / (kept.said() - few);
}

async function spoken(answer: string, turns: number) {
  const chat = session(answer, 20);
  for (let n = 0; n < turns; n += 1) await chat.ask(`Question ${n + 1}, as long as such questions are?`);
  return chat;
}

/** One that was saved and is gone on with. */
async function loaded(answer: string, turns: number) {
  const chat = session('', 1);
  const list = Array.from({ length: turns }, (_, id) => ({
    id,
    parent: id === 0 ? null : id - 1,
    user: own(`Question ${id + 1}?`),
    assistant: own(answer),
  }));
  chat.tell({ kind: 'opened', chat: chatState({ ...newConversation(), turns: list, head: turns - 1 }) });
  return chat;
}

/** One long reply: before its last piece, and when it is over. `scrolled`: its view is elsewhere meanwhile. */
async function long(words: string, scrolled: boolean) {
  const answered = async (answer: string) => {
    let streaming = 0;
    const last = Math.ceil(answer.length / 4);
    const chat = session(answer, 50, (piece) => {
      if (scrolled && piece === 500) chat.tell(key('PageUp'));
      if (piece === last) streaming = settledHeap();
    });
    // what a job has looked at through a weak reference is kept until it ends
    await new Promise((done) => setImmediate(done));
    const before = settledHeap();
    await chat.ask('go');
    const ended = settledHeap();
    return {
      chat,
      streaming: (streaming - before) / bytesOf(answer),
      ended: (ended - before) / bytesOf(answer),
    };
  };
  await answered(own(words, 50));
  const { chat, ...figures } = await answered(own(words, 600));
  chat.tell(key('Ctrl-End'));
  return figures;
}

const replies = {
  'a long reply': await long(part, false),
  'a long reply that is not looked at': await long(part, true),
  'a long reply of wide characters': await long(wide, false),
};
const figures = {
  'a saved conversation': await grown((turns) => loaded(part.repeat(8), turns), 300),
  'a saved conversation of wide characters': await grown((turns) => loaded(wide.repeat(8), turns), 300),
  'a conversation': await grown((turns) => spoken(part.repeat(8), turns), 200),
  'a conversation of short replies': await grown((turns) => spoken(part.repeat(4), turns), 300),
  ...Object.fromEntries(
    Object.entries(replies).flatMap(([what, { streaming, ended }]) => [
      [`${what}, while it streams`, streaming],
      [`${what}, when it is over`, ended],
    ]),
  ),
};
process.stdout.write(JSON.stringify(figures));
