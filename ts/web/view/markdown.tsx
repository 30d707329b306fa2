import { useLayoutEffect, useRef } from 'preact/hooks';
import { GrowingMarkdown } from '../markdown/growing.js';

/** A reply's Markdown; `open` says that it still grows. */
export function Markdown({ text, open }: { readonly text: string; readonly open: boolean }) {
  const holder = useRef<HTMLDivElement>(null);
  const grown = useRef<GrowingMarkdown | undefined>(undefined);
  useLayoutEffect(() => {
    grown.current ??= new GrowingMarkdown(holder.current!);
    grown.current.show(text, open);
  }, [text, open]);
  // the inside belongs to GrowingMarkdown alone
  return <div class="markdown" ref={holder} />;
}
