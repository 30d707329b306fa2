/** Buttons and dialogs that several parts share. */
import type { ComponentChildren, TargetedEvent, TargetedInputEvent } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Icon } from './icons.js';

interface IconButtonProps {
  readonly icon: Parameters<typeof Icon>[0]['name'];
  readonly label: string;
  readonly onClick: () => void;
  readonly class?: string;
  readonly disabled?: boolean;
}

/** A button that shows only a drawing; its name is what a screen reader and a hovering pointer get. */
export function IconButton({ icon, label, onClick, disabled, class: name = '' }: IconButtonProps) {
  return (
    <button
      type="button"
      class={`icon-button ${name}`}
      aria-label={label}
      title={label}
      disabled={disabled ?? false}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

type Field = HTMLInputElement | HTMLTextAreaElement;

/**
 * The properties of a field whose text counts when it is left. Until then, or as long as `take` refuses it, the field
 * keeps what was typed, whatever else of the page is drawn anew meanwhile.
 */
export function useField(kept: string, take: (text: string) => boolean) {
  const [typed, setTyped] = useState<string>();
  return {
    value: typed ?? kept,
    onInput: ({ currentTarget }: TargetedInputEvent<Field>) => setTyped(currentTarget.value),
    onChange: ({ currentTarget }: TargetedEvent<Field>) => {
      setTyped(take(currentTarget.value) ? undefined : currentTarget.value);
    },
  };
}

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** A modal dialog: the browser keeps the focus inside, closes it on Esc and gives the focus back. */
export function Dialog({ title, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="dialog-title"
      onClose={onClose}
      onClick={({ target }) => target === dialog.current && dialog.current?.close()}
    >
      <div class="dialog-body">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <IconButton icon="close" label="Close" onClick={() => dialog.current?.close()} />
        </header>
        {children}
      </div>
    </dialog>
  );
}
