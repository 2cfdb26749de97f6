/** What a person can act on: shown as one sentence, without a stack trace. */
export class StackFailure extends Error {
  override name = 'StackFailure';
}

/** The sentence of any error, whatever was thrown. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
