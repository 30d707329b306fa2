/** Bundled into the page by the test of hostile Markdown: the page's own renderer, to be driven directly. */
import { GrowingMarkdown } from '../../ts/web/markdown/growing.js';

/** What the rendered Markdown may consist of; everything else is a finding. */
const tags =
  'DIV P SPAN BR HR A STRONG EM DEL CODE PRE BLOCKQUOTE H3 H4 H5 H6 UL OL LI TABLE THEAD TBODY TR TH TD BUTTON';
const names = 'class href rel target start tabindex role aria-label scope type';
const allowedTags = new Set(tags.split(' '));
const allowedNames = new Set(names.split(' '));

function findings(holder: HTMLElement): string[] {
  const found: string[] = [];
  for (const element of holder.querySelectorAll('*')) {
    if (!allowedTags.has(element.tagName)) found.push(`<${element.tagName}>`);
    for (const { name, value } of element.attributes) {
      if (!allowedNames.has(name)) found.push(`${element.tagName} ${name}=${value}`);
      if (name === 'href' && !/^(https?|mailto):/i.test(value)) found.push(`href ${value}`);
    }
  }
  return found;
}

/** Shows each text as it grows by `sizes` characters, and whole; what was found that must not be there. */
async function attack(texts: readonly string[], sizes: readonly number[]): Promise<string[]> {
  const found: string[] = [];
  for (const text of texts) {
    const last: string[] = [];
    for (const size of sizes) {
      const holder = document.createElement('div');
      document.body.append(holder);
      const markdown = new GrowingMarkdown(holder);
      for (let at = size; at < text.length; at += size) {
        markdown.show(text.slice(0, at), true);
        found.push(...findings(holder).map((what) => `${what} in ${text.slice(0, 200)}`));
      }
      markdown.show(text, false);
      found.push(...findings(holder).map((what) => `${what} in ${text.slice(0, 200)}`));
      last.push(holder.innerHTML);
      // whatever was set off comes before the next one
      await new Promise((resolve) => setTimeout(resolve));
      holder.remove();
    }
    if (new Set(last).size > 1) found.push(`the result depends on the chunks: ${text.slice(0, 200)}`);
  }
  return found;
}

Object.assign(globalThis, { attack });
