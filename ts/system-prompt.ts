import type { Card } from './store/cards.js';

/** Said before a chat with a published Metis model, as the original does; the words are ours. */
export const vendorSystemPrompt =
  "You are a helpful and concise chatbot by Axelera AI, running on Axelera's Metis AI chip. Be concise.";

/**
 * What a card's model is told when nobody says anything: the card's own prompt; for the published Metis cards
 * the vendor's, but for Velvet, which it degrades; for all others nothing, so that the model's template decides.
 */
export function defaultSystemPrompt(card: Card): string | undefined {
  if (card.systemPrompt !== undefined) return card.systemPrompt;
  const velvet = /velvet/i.test(`${card.name} ${card.modelName ?? ''}`);
  return card.precompiled && !velvet ? vendorSystemPrompt : undefined;
}
