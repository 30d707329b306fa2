/** Markdown on the page while it grows: finished blocks are made once, only the open tail is drawn anew. */
import { Blocks, type Block } from '../../tui/markdown/blocks.js';
import { settled } from '../../tui/markdown/tail.js';
import { copyButton } from './copy-button.js';
import { markdownElement } from './block.js';

/** Owns the inside of `holder`. */
export class GrowingMarkdown {
  private text = '';
  private blocks = new Blocks();
  private tail: HTMLElement | undefined;

  constructor(private readonly holder: HTMLElement) {}

  /** Shows `text`; `open` says that more will come. */
  show(text: string, open: boolean): void {
    if (!text.startsWith(this.text)) this.reset();
    const before = this.blocks.count;
    this.blocks.grow(text);
    this.text = text;
    this.tail?.remove();
    this.tail = undefined;
    for (let at = before; at < this.blocks.count; at += 1) {
      this.holder.append(finished(this.blocks.at(at, text)));
    }
    const block = this.blocks.tail(text);
    if (block.source.trim() === '') return;
    this.tail = open ? openTail(block) : finished(block);
    this.holder.append(this.tail);
  }

  private reset(): void {
    this.holder.replaceChildren();
    this.text = '';
    this.blocks = new Blocks();
    this.tail = undefined;
  }
}

/** Marks that are open are closed for the eye, and those that may become one wait: none shows and vanishes. */
function openTail(block: Block): HTMLElement {
  return markdownElement(settled(block.source), className(block));
}

const className = ({ joined, reopened }: Block) =>
  ['block', joined ? 'joined' : '', reopened ? 'reopened' : ''].filter((name) => name !== '').join(' ');

function finished(block: Block): HTMLElement {
  const made = markdownElement(block.source, className(block));
  for (const head of made.querySelectorAll('.code-head')) {
    head.append(copyButton('Copy code', () => head.nextElementSibling?.textContent ?? ''));
  }
  return made;
}
