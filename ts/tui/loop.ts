/** State, messages and effects held together, and drawn when something has changed. */
import { Pace } from './pace.js';
import type { Effect, Message, State } from './state.js';
import { update } from './update.js';
import { view, type Frame } from './view.js';

/** Milliseconds from some start, never backwards. */
export interface Clock {
  now(): number;
  /** Calls once, `ms` from now, unless what is returned is called before. */
  after(ms: number, call: () => void): () => void;
}

export const realClock: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

export interface Surroundings {
  readonly clock: Clock;
  draw(frame: Frame): void;
  perform(effect: Effect): Promise<void>;
  /** Something that may not happen has. */
  fail(reason: unknown): void;
}

export class Loop {
  private readonly pace = new Pace();
  /** The frame that is to come. */
  private due: { readonly urgent: boolean; takeBack(): void } | undefined;
  private stopped = false;

  constructor(
    private current: State,
    private readonly around: Surroundings,
  ) {}

  get state(): State {
    return this.current;
  }

  /** Lets `message` happen. Never throws: the loop fails instead. */
  readonly dispatch = (message: Message): void => {
    try {
      const [next, effects] = update({ ...this.current, now: this.around.clock.now() }, message);
      this.current = next;
      for (const effect of effects) this.around.perform(effect).catch(this.around.fail);
      this.schedule(message.kind === 'key' || message.kind === 'text' || message.kind === 'paste');
    } catch (error) {
      this.around.fail(error);
    }
  };

  /** What is on the screen is not the state any more. */
  readonly stale = (): void => this.schedule(false);

  /** Draws no more. */
  stop(): void {
    this.stopped = true;
    this.due?.takeBack();
  }

  private schedule(urgent: boolean): void {
    if (this.stopped || (this.due && (this.due.urgent || !urgent))) return;
    this.due?.takeBack();
    const { clock } = this.around;
    this.due = { urgent, takeBack: clock.after(this.pace.wait(clock.now(), urgent), this.draw) };
  }

  private readonly draw = (): void => {
    this.due = undefined;
    this.pace.drawn(this.around.clock.now());
    try {
      this.around.draw(view(this.current));
    } catch (error) {
      this.around.fail(error);
    }
  };
}
