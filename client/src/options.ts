/** What every call takes. */
export interface CallOptions {
  /** Gives the call up; it then rejects with the signal's reason. Work that has begun goes on. */
  signal?: AbortSignal | undefined;
}

/** What calls of the five functions take. */
export interface RequestOptions extends CallOptions {
  /**
   * A word of one's own for this request, such as a UUID. With it a call that got no answer is
   * repeated by itself: the service does the work once and counts it once. Without it nothing is.
   */
  idempotencyKey?: string | undefined;
}

/** What calls that start long work take. */
export interface WorkOptions<Row> extends RequestOptions {
  /** `false`: resolve as soon as the work has begun. Default: wait for its end. */
  wait?: boolean | undefined;
  /** Gets the log row each time it has changed. */
  onProgress?: ((row: Row) => void) | undefined;
}

/** What lists take. */
export interface ListOptions extends CallOptions {
  /** Only this tenant's rows; every tenant's that the caller belongs to when absent. */
  tenantId?: string | undefined;
  /** At most this many, newest first. Default 50. */
  limit?: number | undefined;
  /** Only rows that come after this one in the list: the last row gives the next page. */
  before?: { readonly id: string; readonly created_at: string } | undefined;
}

/** How work is followed. */
export interface WatchOptions<Row> extends CallOptions {
  /** Gets the row each time it has changed. */
  onProgress?: ((row: Row) => void) | undefined;
}
