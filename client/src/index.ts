export { createM23 } from './create.ts';
export { M23Error, type M23ErrorCode, type M23ErrorFields } from './errors.ts';
export type { Database } from './generated/database.ts';
export type { components, operations, paths } from './generated/openapi.ts';
export type {
  BackupFilter,
  ExecutedBackup,
  FoundRowsFilter,
  HistogramChoice,
  M23,
  PITRChoice,
  RestoreFilter,
  RowHistoryFilter,
  Search,
  TenantOptions,
  TransactionChanges,
  TransactionFilter,
  TransactionLogFilter,
} from './m23.ts';
export type { CallOptions, ListOptions, RequestOptions, WatchOptions, WorkOptions } from './options.ts';
export type { PITRPreview, PreviewRow } from './preview.ts';
export * from './shared.ts';
export type { SupabaseLike } from './supabase.ts';
export type * from './types.ts';
