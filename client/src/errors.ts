import type { ErrorBody, ErrorCode } from './types.ts';

/**
 * A code of the contract, or of work that went on after its call was answered and did not succeed:
 * then the details are in its log row.
 */
export type M23ErrorCode = ErrorCode | 'WORK_FAILED' | 'WORK_CANCELLED';

/** What is known of an error besides its message. */
export interface M23ErrorFields {
  code: M23ErrorCode;
  details?: readonly string[];
  status?: number;
  retryAfter?: number | undefined;
  requestId?: string | undefined;
  cause?: unknown;
}

/** Every refusal and failure of M23. Its message is a sentence for a person. */
export class M23Error extends Error {
  override readonly name = 'M23Error';
  /** The code for a program. */
  readonly code: M23ErrorCode;
  /** The single faults, each naming its field; empty where there is only the message. */
  readonly details: readonly string[];
  /** The HTTP status; 0 where no answer came. */
  readonly status: number;
  /** Seconds to wait before another attempt, where the answer said so. */
  readonly retryAfter: number | undefined;
  /** The id under which the service's log has the request, where the answer carried it. */
  readonly requestId: string | undefined;

  constructor(message: string, fields: M23ErrorFields) {
    super(message, { cause: fields.cause });
    this.code = fields.code;
    this.details = fields.details ?? [];
    this.status = fields.status ?? 0;
    this.retryAfter = fields.retryAfter;
    this.requestId = fields.requestId;
  }
}

/** The codes that belong to a status when the answer names none (a proxy's, a relay's). */
const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'VALIDATION_FAILED',
  401: 'AUTH_REQUIRED',
  403: 'INSUFFICIENT_PERMISSIONS',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  406: 'NOT_FOUND',
  413: 'PAYLOAD_TOO_LARGE',
  429: 'RATE_LIMIT_EXCEEDED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'UNAVAILABLE',
};

/** What Postgres and PostgREST say in their own words. */
const BY_SQLSTATE: Readonly<Record<string, ErrorCode>> = {
  '22P02': 'VALIDATION_FAILED',
  '23502': 'VALIDATION_FAILED',
  '23503': 'VALIDATION_FAILED',
  '23514': 'VALIDATION_FAILED',
  '42501': 'INSUFFICIENT_PERMISSIONS',
  '57014': 'UNAVAILABLE',
  PGRST301: 'AUTH_REQUIRED',
  PGRST302: 'AUTH_REQUIRED',
  PGRST303: 'AUTH_REQUIRED',
};

/** The contract's codes: the compiler asks for each. */
const CODES: Readonly<Record<ErrorCode, true>> = {
  AUTH_REQUIRED: true,
  TENANT_NOT_FOUND: true,
  INSUFFICIENT_PERMISSIONS: true,
  VALIDATION_FAILED: true,
  BACKUP_NOT_FOUND: true,
  SNAPSHOT_NOT_FOUND: true,
  RESTORE_IN_PROGRESS: true,
  RATE_LIMIT_EXCEEDED: true,
  METHOD_NOT_ALLOWED: true,
  NOT_FOUND: true,
  PAYLOAD_TOO_LARGE: true,
  PLAN_CHANGED: true,
  CONFLICT: true,
  BACKUP_UNUSABLE: true,
  UNAVAILABLE: true,
  INTERNAL: true,
};

function isCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(CODES, code);
}

/** An error of `supabase.functions.invoke`, as one of ours. */
export async function fromFunctions(error: unknown): Promise<M23Error> {
  const context: unknown = (error as { context?: unknown } | null)?.context;
  if (!isResponse(context)) {
    return new M23Error('No answer came: the network or the service is out of reach.', {
      code: 'UNAVAILABLE',
      cause: error,
    });
  }
  const body = await bodyOf(context);
  const code = isCode(body.code) ? body.code : (BY_STATUS[context.status] ?? 'INTERNAL');
  return new M23Error(body.error ?? `The service answered with the status ${context.status}.`, {
    code,
    details: body.details ?? [],
    status: context.status,
    retryAfter: seconds(context.headers.get('retry-after')),
    requestId: context.headers.get('x-request-id') ?? undefined,
    cause: error,
  });
}

/** What PostgREST says of a failed request. */
export interface PostgrestFailure {
  readonly code?: string;
  readonly message: string;
  readonly details?: string | null;
}

/** An error of `supabase.from` or `supabase.rpc`, as one of ours. */
export function fromPostgrest(error: PostgrestFailure, status: number): M23Error {
  if (status === 0) {
    return new M23Error('No answer came: the network or the service is out of reach.', {
      code: 'UNAVAILABLE',
      cause: error,
    });
  }
  const named = isCode(error.code) ? error.code : BY_SQLSTATE[error.code ?? ''];
  return new M23Error(error.message, {
    code: named ?? BY_STATUS[status] ?? 'INTERNAL',
    details: listOf(error.details),
    status,
    cause: error,
  });
}

function isResponse(context: unknown): context is Response {
  return typeof context === 'object' && context !== null && 'headers' in context && 'status' in context;
}

async function bodyOf(response: Response): Promise<Partial<ErrorBody>> {
  try {
    const body: unknown = await response.clone().json();
    return typeof body === 'object' && body !== null ? body : {};
  } catch {
    return {};
  }
}

/** Refusals of the database carry their faults as a JSON list, Postgres its own as text. */
function listOf(details: string | null | undefined): readonly string[] {
  if (details === null || details === undefined || details === '') return [];
  try {
    const list: unknown = JSON.parse(details);
    if (Array.isArray(list)) return list.map(String);
    return list === null ? [] : [details];
  } catch {
    return [details];
  }
}

/** What `Retry-After` says, in seconds; some proxies write a date. */
function seconds(header: string | null): number | undefined {
  if (header === null) return undefined;
  const value = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1000);
  return Number.isNaN(value) ? undefined : Math.max(value, 0);
}
