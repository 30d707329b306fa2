import { copyText } from '../copy.js';
import { element } from './dom.js';

/** A button that copies what `text` gives and says whether it worked. */
export function copyButton(label: string, text: () => string): HTMLButtonElement {
  const button = element('button', 'copy', 'Copy');
  button.type = 'button';
  button.setAttribute('aria-label', label);
  button.addEventListener('click', async () => {
    button.textContent = (await copyText(text())) ? 'Copied' : 'Failed';
    setTimeout(() => (button.textContent = 'Copy'), 1500);
  });
  return button;
}
