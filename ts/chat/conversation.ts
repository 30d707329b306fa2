import type { Message } from '../native.js';

/** What was said so far, and what the model is sent for the next message. Knows no device and no terminal. */
export class Conversation {
  private turns: Message[] = [];

  constructor(
    /** Sent first; `undefined` leaves it to the model's own template. */
    public systemPrompt: string | undefined,
    /** Off: every message stands alone. */
    public readonly history: boolean,
  ) {}

  /** Everything to send for `text`: system prompt, earlier turns, the new message. */
  messagesFor(text: string): Message[] {
    const system: Message[] =
      this.systemPrompt === undefined ? [] : [{ role: 'system', content: this.systemPrompt }];
    return [...system, ...this.turns, { role: 'user', content: text }];
  }

  /** Keeps a turn; a reply that was stopped half-way counts as said. */
  add(user: string, assistant: string): void {
    if (!this.history || assistant === '') return;
    this.turns.push({ role: 'user', content: user }, { role: 'assistant', content: assistant });
  }

  /** The turns so far, oldest first. */
  get messages(): readonly Message[] {
    return this.turns;
  }

  clear(): void {
    this.turns = [];
  }
}
