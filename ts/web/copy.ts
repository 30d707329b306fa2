/** The clipboard, also where a page on plain HTTP in a local network has none of its own. */

/** Whether it worked. */
export async function copyText(text: string): Promise<boolean> {
  try {
    // absent where the context is not secure, whatever its type says
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** The old way: it wants a selection in an element that can be seen and edited. */
function copyBySelection(text: string): boolean {
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'off-screen';
  field.readOnly = true;
  const active = document.activeElement;
  // inside an open dialog nothing outside of it can be selected
  (document.querySelector('dialog[open]') ?? document.body).append(field);
  field.select();
  let copied = false;
  try {
    copied = document.execCommand('copy');
  } finally {
    field.remove();
    if (active instanceof HTMLElement) active.focus();
  }
  return copied;
}
