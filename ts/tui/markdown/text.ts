/** What Markdown's text means, in the terminal and in the page. */
const entities: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  '#39': "'",
};

/** What a reader sees for the entities that models write. */
export const decodeEntities = (text: string) =>
  text.replace(/&(#39|[a-z]+);/g, (whole, name: string) => entities[name] ?? whole);

/** Only what a browser opens; anything else is shown as text. */
export const safeLink = /^(?:https?|mailto):[\u0021-\u007e]+$/i;
