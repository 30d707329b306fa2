/** What the page and the server say to each other beside the OpenAI interface. */

/** `POST /ui/session` exchanges the link's secret for a cookie. */
export interface SessionRequest {
  readonly key: string;
}

/** An error as every route sends it. */
export interface ErrorBody {
  readonly message: string;
  readonly code?: string | null;
  readonly hint?: string;
}

/** The public link, as the owner's page shows it. */
export type ShareState =
  | { readonly phase: 'opening'; readonly step: string }
  | { readonly phase: 'open'; readonly url: string; readonly expires: number; readonly qr: string }
  | { readonly phase: 'closed'; readonly reason: string; readonly hint?: string };

/** `GET /ui/page`. */
export interface UiState {
  readonly phase: 'loading' | 'ready' | 'failed';
  /** The model, as a person calls it. */
  readonly name: string;
  /** The plain variant: chat, Clear and the temperature. */
  readonly simple: boolean;
  /** The last thing that loading said. */
  readonly step?: string;
  readonly progress?: { readonly label: string; readonly done: number; readonly total?: number };
  readonly error?: ErrorBody;
  readonly info?: { readonly pipeline: string; readonly device: string; readonly contextLength: number };
  /** What a request that leaves an option out gets, by config key. */
  readonly defaults: Readonly<Record<string, number | string | readonly string[]>>;
  /** Whether the command line asked for earlier turns to be remembered. */
  readonly history: boolean;
  /** The system prompt of a request without one; visitors of a public link are not told. */
  readonly system?: string;
  /** Only for the owner. */
  readonly share?: ShareState;
}
