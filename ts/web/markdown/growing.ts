/** Markdown on the page while it grows: finished blocks are made once, only the open tail is drawn anew. */
import remend from 'remend';
import { grow, noBlocks, type Block, type Blocks } from '../../tui/markdown/blocks.js';
import { settled } from '../../tui/markdown/tail.js';
import { copyButton } from './copy-button.js';
import { markdownElement } from './block.js';

/** Owns the inside of `holder`. */
export class GrowingMarkdown {
  private text = '';
  private blocks: Blocks = noBlocks;
  private tail: HTMLElement | undefined;

  constructor(private readonly holder: HTMLElement) {}

  /** Shows `text`; `open` says that more will come. */
  show(text: string, open: boolean): void {
    if (!text.startsWith(this.text)) this.reset();
    const before = this.blocks.finished.length;
    this.blocks = grow(this.blocks, text.slice(this.text.length));
    this.text = text;
    this.tail?.remove();
    this.tail = undefined;
    for (const block of this.blocks.finished.slice(before)) this.holder.append(finished(block));
    const { source, joined } = this.blocks.tail;
    if (source.trim() === '') return;
    // marks that are open at the end are closed for the eye, so that they don't show and vanish
    this.tail = open
      ? markdownElement(remend(settled(source), { linkMode: 'text-only' }), className(joined))
      : finished(this.blocks.tail);
    this.holder.append(this.tail);
  }

  private reset(): void {
    this.holder.replaceChildren();
    this.text = '';
    this.blocks = noBlocks;
    this.tail = undefined;
  }
}

const className = (joined: boolean) => (joined ? 'block joined' : 'block');

function finished({ source, joined }: Block): HTMLElement {
  const made = markdownElement(source, className(joined));
  for (const head of made.querySelectorAll('.code-head')) {
    head.append(copyButton('Copy code', () => head.nextElementSibling?.textContent ?? ''));
  }
  return made;
}
