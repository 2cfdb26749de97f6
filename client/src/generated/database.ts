// Generated: run `cargo xtask generate`.

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  public: {
    Tables: {
      audit_log: {
        Row: {
          action: string;
          actor: string | null;
          code: string | null;
          created_at: string;
          detail: Json | null;
          event: string;
          from_address: string | null;
          hash: string;
          prev_hash: string;
          request_id: string | null;
          seq: number;
          status: number | null;
          tenant_id: string;
          user_agent: string | null;
        };
        ComputedFields: never;
        Insert: {
          action: string;
          actor?: string | null;
          code?: string | null;
          created_at: string;
          detail?: Json | null;
          event: string;
          from_address?: string | null;
          hash: string;
          prev_hash: string;
          request_id?: string | null;
          seq: number;
          status?: number | null;
          tenant_id: string;
          user_agent?: string | null;
        };
        Update: {
          action?: string;
          actor?: string | null;
          code?: string | null;
          created_at?: string;
          detail?: Json | null;
          event?: string;
          from_address?: string | null;
          hash?: string;
          prev_hash?: string;
          request_id?: string | null;
          seq?: number;
          status?: number | null;
          tenant_id?: string;
          user_agent?: string | null;
        };
        Relationships: [];
      };
      backup_jobs: {
        Row: {
          backup_name: string;
          backup_size_bytes: number | null;
          base_backup_id: string | null;
          completed_at: string | null;
          created_at: string;
          created_by: string | null;
          deleted_at: string | null;
          description: string | null;
          duration_seconds: number | null;
          error_message: string | null;
          id: string;
          is_incremental: boolean | null;
          job_type: string;
          metadata: NonNullable<Json>;
          parent_backup_id: string | null;
          started_at: string | null;
          status: string;
          tables: string[] | null;
          tenant_id: string;
        };
        ComputedFields: never;
        Insert: {
          backup_name: string;
          backup_size_bytes?: number | null;
          base_backup_id?: string | null;
          completed_at?: string | null;
          created_at?: string;
          created_by?: string | null;
          deleted_at?: string | null;
          description?: string | null;
          duration_seconds?: number | null;
          error_message?: string | null;
          id?: string;
          is_incremental?: never;
          job_type: string;
          metadata?: NonNullable<Json>;
          parent_backup_id?: string | null;
          started_at?: string | null;
          status?: string;
          tables?: string[] | null;
          tenant_id?: string;
        };
        Update: {
          backup_name?: string;
          backup_size_bytes?: number | null;
          base_backup_id?: string | null;
          completed_at?: string | null;
          created_at?: string;
          created_by?: string | null;
          deleted_at?: string | null;
          description?: string | null;
          duration_seconds?: number | null;
          error_message?: string | null;
          id?: string;
          is_incremental?: never;
          job_type?: string;
          metadata?: NonNullable<Json>;
          parent_backup_id?: string | null;
          started_at?: string | null;
          status?: string;
          tables?: string[] | null;
          tenant_id?: string;
        };
        Relationships: [
          {
            foreignKeyName: 'backup_jobs_base_backup_id_fkey';
            columns: ['base_backup_id'];
            isOneToOne: false;
            referencedRelation: 'backup_jobs';
            referencedColumns: ['id'];
          },
          {
            foreignKeyName: 'backup_jobs_parent_backup_id_fkey';
            columns: ['parent_backup_id'];
            isOneToOne: false;
            referencedRelation: 'backup_jobs';
            referencedColumns: ['id'];
          },
        ];
      };
      dr_plans: {
        Row: {
          backup_frequency: string;
          backup_types: string[];
          created_at: string;
          created_by: string | null;
          description: string | null;
          id: string;
          is_active: boolean;
          next_backup_date: string | null;
          next_test_date: string | null;
          plan_name: string;
          retention_days: number;
          rpo_minutes: number;
          rto_minutes: number;
          tenant_id: string;
          test_frequency: string;
          time_zone: string;
        };
        ComputedFields: never;
        Insert: {
          backup_frequency: string;
          backup_types?: string[];
          created_at?: string;
          created_by?: string | null;
          description?: string | null;
          id?: string;
          is_active?: boolean;
          next_backup_date?: string | null;
          next_test_date?: string | null;
          plan_name: string;
          retention_days?: number;
          rpo_minutes: number;
          rto_minutes: number;
          tenant_id?: string;
          test_frequency: string;
          time_zone?: string;
        };
        Update: {
          backup_frequency?: string;
          backup_types?: string[];
          created_at?: string;
          created_by?: string | null;
          description?: string | null;
          id?: string;
          is_active?: boolean;
          next_backup_date?: string | null;
          next_test_date?: string | null;
          plan_name?: string;
          retention_days?: number;
          rpo_minutes?: number;
          rto_minutes?: number;
          tenant_id?: string;
          test_frequency?: string;
          time_zone?: string;
        };
        Relationships: [];
      };
      health_snapshots: {
        Row: {
          created_at: string;
          id: string;
          parts: NonNullable<Json>;
          score: number;
          tenant_id: string;
        };
        ComputedFields: never;
        Insert: {
          created_at?: string;
          id?: string;
          parts: NonNullable<Json>;
          score: number;
          tenant_id: string;
        };
        Update: {
          created_at?: string;
          id?: string;
          parts?: NonNullable<Json>;
          score?: number;
          tenant_id?: string;
        };
        Relationships: [];
      };
      pitr_rollbacks: {
        Row: {
          affected_tables: string[] | null;
          completed_at: string | null;
          created_at: string;
          created_by: string | null;
          error_message: string | null;
          id: string;
          pre_rollback_snapshot_id: string | null;
          reason: string | null;
          rows_restored: number | null;
          snapshot_id: string;
          status: string;
          tenant_id: string;
          warnings: string[];
        };
        ComputedFields: never;
        Insert: {
          affected_tables?: string[] | null;
          completed_at?: string | null;
          created_at?: string;
          created_by?: string | null;
          error_message?: string | null;
          id?: string;
          pre_rollback_snapshot_id?: string | null;
          reason?: string | null;
          rows_restored?: number | null;
          snapshot_id: string;
          status?: string;
          tenant_id: string;
          warnings?: string[];
        };
        Update: {
          affected_tables?: string[] | null;
          completed_at?: string | null;
          created_at?: string;
          created_by?: string | null;
          error_message?: string | null;
          id?: string;
          pre_rollback_snapshot_id?: string | null;
          reason?: string | null;
          rows_restored?: number | null;
          snapshot_id?: string;
          status?: string;
          tenant_id?: string;
          warnings?: string[];
        };
        Relationships: [
          {
            foreignKeyName: 'pitr_rollbacks_pre_rollback_snapshot_id_fkey';
            columns: ['pre_rollback_snapshot_id'];
            isOneToOne: false;
            referencedRelation: 'pitr_snapshots';
            referencedColumns: ['id'];
          },
          {
            foreignKeyName: 'pitr_rollbacks_snapshot_id_fkey';
            columns: ['snapshot_id'];
            isOneToOne: false;
            referencedRelation: 'pitr_snapshots';
            referencedColumns: ['id'];
          },
        ];
      };
      pitr_snapshots: {
        Row: {
          affected_tables: string[];
          created_at: string;
          created_by: string | null;
          expires_at: string | null;
          id: string;
          is_rolled_back: boolean;
          restore_log_id: string | null;
          rolled_back_at: string | null;
          snapshot_data: NonNullable<Json>;
          snapshot_name: string;
          snapshot_type: string;
          status: string;
          tenant_id: string;
          total_rows_count: number | null;
        };
        ComputedFields: never;
        Insert: {
          affected_tables: string[];
          created_at?: string;
          created_by?: string | null;
          expires_at?: string | null;
          id?: string;
          is_rolled_back?: boolean;
          restore_log_id?: string | null;
          rolled_back_at?: string | null;
          snapshot_data: NonNullable<Json>;
          snapshot_name: string;
          snapshot_type: string;
          status?: string;
          tenant_id: string;
          total_rows_count?: number | null;
        };
        Update: {
          affected_tables?: string[];
          created_at?: string;
          created_by?: string | null;
          expires_at?: string | null;
          id?: string;
          is_rolled_back?: boolean;
          restore_log_id?: string | null;
          rolled_back_at?: string | null;
          snapshot_data?: NonNullable<Json>;
          snapshot_name?: string;
          snapshot_type?: string;
          status?: string;
          tenant_id?: string;
          total_rows_count?: number | null;
        };
        Relationships: [
          {
            foreignKeyName: 'pitr_snapshots_restore_log_id_fkey';
            columns: ['restore_log_id'];
            isOneToOne: false;
            referencedRelation: 'restore_logs';
            referencedColumns: ['id'];
          },
        ];
      };
      recovery_tests: {
        Row: {
          backup_job_id: string | null;
          completed_at: string | null;
          created_at: string;
          created_by: string | null;
          dr_plan_id: string | null;
          error_message: string | null;
          id: string;
          results: Json | null;
          started_at: string | null;
          status: string;
          tenant_id: string;
          test_name: string;
          test_type: string;
          validation_level: string;
        };
        ComputedFields: never;
        Insert: {
          backup_job_id?: string | null;
          completed_at?: string | null;
          created_at?: string;
          created_by?: string | null;
          dr_plan_id?: string | null;
          error_message?: string | null;
          id?: string;
          results?: Json | null;
          started_at?: string | null;
          status?: string;
          tenant_id: string;
          test_name: string;
          test_type: string;
          validation_level: string;
        };
        Update: {
          backup_job_id?: string | null;
          completed_at?: string | null;
          created_at?: string;
          created_by?: string | null;
          dr_plan_id?: string | null;
          error_message?: string | null;
          id?: string;
          results?: Json | null;
          started_at?: string | null;
          status?: string;
          tenant_id?: string;
          test_name?: string;
          test_type?: string;
          validation_level?: string;
        };
        Relationships: [
          {
            foreignKeyName: 'recovery_tests_backup_job_id_fkey';
            columns: ['backup_job_id'];
            isOneToOne: false;
            referencedRelation: 'backup_jobs';
            referencedColumns: ['id'];
          },
          {
            foreignKeyName: 'recovery_tests_dr_plan_id_fkey';
            columns: ['dr_plan_id'];
            isOneToOne: false;
            referencedRelation: 'dr_plans';
            referencedColumns: ['id'];
          },
        ];
      };
      restore_logs: {
        Row: {
          backup_job_id: string | null;
          completed_at: string | null;
          created_at: string;
          created_by: string | null;
          duration_seconds: number | null;
          error_message: string | null;
          id: string;
          metadata: NonNullable<Json>;
          restore_type: string;
          rows_restored: number | null;
          snapshot_id: string | null;
          started_at: string | null;
          stats: Json | null;
          status: string;
          tables: string[] | null;
          target_schema: string | null;
          target_timestamp: string | null;
          tenant_id: string;
          warnings: string[];
        };
        ComputedFields: never;
        Insert: {
          backup_job_id?: string | null;
          completed_at?: string | null;
          created_at?: string;
          created_by?: string | null;
          duration_seconds?: number | null;
          error_message?: string | null;
          id?: string;
          metadata?: NonNullable<Json>;
          restore_type: string;
          rows_restored?: number | null;
          snapshot_id?: string | null;
          started_at?: string | null;
          stats?: Json | null;
          status?: string;
          tables?: string[] | null;
          target_schema?: string | null;
          target_timestamp?: string | null;
          tenant_id: string;
          warnings?: string[];
        };
        Update: {
          backup_job_id?: string | null;
          completed_at?: string | null;
          created_at?: string;
          created_by?: string | null;
          duration_seconds?: number | null;
          error_message?: string | null;
          id?: string;
          metadata?: NonNullable<Json>;
          restore_type?: string;
          rows_restored?: number | null;
          snapshot_id?: string | null;
          started_at?: string | null;
          stats?: Json | null;
          status?: string;
          tables?: string[] | null;
          target_schema?: string | null;
          target_timestamp?: string | null;
          tenant_id?: string;
          warnings?: string[];
        };
        Relationships: [
          {
            foreignKeyName: 'restore_logs_backup_job_id_fkey';
            columns: ['backup_job_id'];
            isOneToOne: false;
            referencedRelation: 'backup_jobs';
            referencedColumns: ['id'];
          },
          {
            foreignKeyName: 'restore_logs_snapshot_id_fkey';
            columns: ['snapshot_id'];
            isOneToOne: false;
            referencedRelation: 'pitr_snapshots';
            referencedColumns: ['id'];
          },
        ];
      };
      tenant_members: {
        Row: {
          created_at: string;
          role: string;
          tenant_id: string;
          user_id: string;
        };
        ComputedFields: never;
        Insert: {
          created_at?: string;
          role: string;
          tenant_id: string;
          user_id: string;
        };
        Update: {
          created_at?: string;
          role?: string;
          tenant_id?: string;
          user_id?: string;
        };
        Relationships: [];
      };
    };
    Views: {
      transaction_logs: {
        Row: {
          actor: string | null;
          created_at: string | null;
          id: number | null;
          old_values: Json | null;
          operation: string | null;
          row_key: Json | null;
          table_name: string | null;
          tenant_id: string | null;
          transaction_id: string | null;
          unchanged_columns: string[] | null;
        };
        ComputedFields: never;
        Relationships: [];
      };
    };
    Functions: {
      adopt_backup: { Args: { p_manifest: Json; p_object: string; p_sha256: string }; Returns: string };
      calculate_health_score: { Args: { p_days_back?: number; p_tenant_id: string }; Returns: number };
      calculate_pitr_stats: {
        Args: { p_base_backup_timestamp?: string; p_target_timestamp: string; p_tenant_id: string };
        Returns: Json;
      };
      cancel_backup: { Args: { p_backup_id: string }; Returns: boolean };
      cancel_restore: { Args: { p_id: string }; Returns: boolean };
      create_pitr_snapshot: {
        Args: {
          p_affected_tables: string[];
          p_created_by: string;
          p_restore_log_id?: string;
          p_snapshot_name: string;
          p_tenant_id: string;
        };
        Returns: string;
      };
      delete_backup: { Args: { p_backup_id: string }; Returns: string };
      drop_restore_copy: { Args: { p_restore_log_id: string }; Returns: Json };
      erase_archive_key: { Args: { p_tenant_id: string }; Returns: Json };
      execute_pitr_rollback: {
        Args: { p_initiated_by: string; p_reason?: string; p_snapshot_id: string };
        Returns: string;
      };
      find_rows: {
        Args: {
          p_before?: Json;
          p_filter?: Json;
          p_limit?: number;
          p_operation?: string;
          p_since?: string;
          p_table: string;
          p_tenant_id: string;
          p_until?: string;
        };
        Returns: {
          actor: string;
          at: string;
          id: number;
          old_values: Json;
          operation: string;
          request_id: string;
          row_key: Json;
          searched_back: string;
          source: string;
          transaction_id: string;
        }[];
      };
      forget_tenant: { Args: { p_tenant_id: string }; Returns: Json };
      get_active_pitr_snapshots: {
        Args: { p_tenant_id: string };
        Returns: {
          affected_tables: string[];
          created_at: string;
          created_by: string;
          expires_at: string;
          restore_log_id: string;
          snapshot_id: string;
          snapshot_name: string;
          snapshot_type: string;
        }[];
      };
      get_audit_log: {
        Args: { p_before?: number; p_limit?: number; p_tenant_id: string };
        Returns: {
          action: string;
          actor: string;
          code: string;
          created_at: string;
          detail: Json;
          ended_at: string;
          from_address: string;
          outcome: string;
          request_id: string;
          seq: number;
          status: number;
          user_agent: string;
        }[];
      };
      get_backup_chain: {
        Args: { p_backup_id: string };
        Returns: {
          backup_name: string;
          backup_size_bytes: number | null;
          base_backup_id: string | null;
          completed_at: string | null;
          created_at: string;
          created_by: string | null;
          deleted_at: string | null;
          description: string | null;
          duration_seconds: number | null;
          error_message: string | null;
          id: string;
          is_incremental: boolean | null;
          job_type: string;
          metadata: NonNullable<Json>;
          parent_backup_id: string | null;
          started_at: string | null;
          status: string;
          tables: string[] | null;
          tenant_id: string;
        }[];
        SetofOptions: {
          from: '*';
          to: 'backup_jobs';
          isOneToOne: false;
          isSetofReturn: true;
        };
      };
      get_backup_statistics: { Args: { p_days_back?: number; p_tenant_id: string }; Returns: Json };
      get_change_histogram: {
        Args: {
          p_actor?: string;
          p_buckets?: number;
          p_since: string;
          p_tables?: string[];
          p_tenant_id: string;
          p_until: string;
        };
        Returns: {
          bucket_start: string;
          operation: string;
          row_count: number;
          table_name: string;
          transaction_count: number;
        }[];
      };
      get_current_tenant: { Args: Record<PropertyKey, never>; Returns: string };
      get_doctor: {
        Args: Record<PropertyKey, never>;
        Returns: {
          advice: string;
          finding: string;
          state: string;
          topic: string;
        }[];
      };
      get_events: {
        Args: { p_since: string; p_tenant_id: string; p_until: string };
        Returns: {
          at: string;
          id: string;
          kind: string;
          summary: string;
        }[];
      };
      get_fleet: {
        Args: Record<PropertyKey, never>;
        Returns: {
          failed_24h: number;
          gaps: number;
          last_backup_at: string;
          last_proof_at: string;
          late: boolean;
          name: string;
          plan: string;
          rpo_minutes: number;
          running: number;
          score: number;
          tenant_id: string;
          why: string;
          worst: string;
        }[];
      };
      get_health: { Args: { p_days_back?: number; p_tenant_id: string }; Returns: Json };
      get_pitr_preview: {
        Args: { p_selection?: Json; p_tables?: string[]; p_target_timestamp?: string; p_tenant_id: string };
        Returns: Json;
      };
      get_pitr_preview_page: {
        Args: {
          p_limit?: number;
          p_offset?: number;
          p_only?: string;
          p_operation?: string;
          p_preview_id: string;
          p_search?: string;
          p_table: string;
        };
        Returns: Json;
      };
      get_pitr_rollback_history: {
        Args: { p_limit?: number; p_tenant_id: string };
        Returns: {
          affected_tables: string[];
          completed_at: string;
          created_at: string;
          created_by: string;
          error_message: string;
          pre_rollback_snapshot_id: string;
          reason: string;
          rollback_id: string;
          rows_restored: number;
          snapshot_id: string;
          snapshot_name: string;
          snapshot_type: string;
          status: string;
          warnings: string[];
        }[];
      };
      get_recovery_window: {
        Args: { p_tenant_id: string };
        Returns: {
          commit_times: string;
          earliest: string;
          gaps: Json;
          latest: string;
          table_name: string;
        }[];
      };
      get_row_history: {
        Args: { p_before?: Json; p_key: Json; p_limit?: number; p_table: string; p_tenant_id: string };
        Returns: {
          actor: string;
          at: string;
          changed_columns: string[];
          id: number;
          new_values: Json;
          old_values: Json;
          operation: string;
          request_id: string;
          restore_log_id: string;
          source: string;
          transaction_id: string;
        }[];
      };
      get_rows_as_of: {
        Args: { p_after?: Json; p_limit?: number; p_table: string; p_tenant_id?: string; p_timestamp: string };
        Returns: Json;
      };
      get_transaction: {
        Args: { p_before?: Json; p_limit?: number; p_tenant_id: string; p_transaction_id: string };
        Returns: {
          actor: string;
          changed_columns: string[];
          id: number;
          new_values: Json;
          old_values: Json;
          operation: string;
          request_id: string;
          row_key: Json;
          source: string;
          table_name: string;
        }[];
      };
      get_transaction_logs: {
        Args: {
          p_actor?: string;
          p_before?: Json;
          p_limit?: number;
          p_operation?: string;
          p_since?: string;
          p_table?: string;
          p_tenant_id: string;
          p_until?: string;
        };
        Returns: {
          actor: string;
          created_at: string;
          id: number;
          old_values: Json;
          operation: string;
          row_key: Json;
          table_name: string;
          tenant_id: string;
          transaction_id: string;
          unchanged_columns: string[];
        }[];
      };
      get_transactions: {
        Args: {
          p_actor?: string;
          p_before?: Json;
          p_limit?: number;
          p_order?: string;
          p_since?: string;
          p_source?: string;
          p_tenant_id: string;
          p_until?: string;
        };
        Returns: {
          actor: string;
          at: string;
          deletes: number;
          inserts: number;
          searched_back: string;
          source: string;
          tables: string[];
          transaction_id: string;
          updates: number;
        }[];
      };
      keep_backup: { Args: { p_backup_id: string }; Returns: boolean };
      m23_abandon_request: { Args: { p_id: string }; Returns: undefined };
      m23_admit: { Args: { p_request: Json }; Returns: Json };
      m23_audit: { Args: { p_entry: Json }; Returns: undefined };
      m23_authorize: {
        Args: {
          p_base_backup_id?: string;
          p_dry_run?: boolean;
          p_function: string;
          p_tables?: string[];
          p_target_schema?: string;
          p_target_timestamp?: string;
          p_tenant_id?: string;
        };
        Returns: Json;
      };
      m23_backup_facts: { Args: { p_job_id: string; p_lease: string }; Returns: Json };
      m23_begin_backup: { Args: { p_backup: Json; p_request_id: string }; Returns: Json };
      m23_begin_pitr: { Args: { p_request_id: string; p_restore: Json }; Returns: Json };
      m23_begin_restore: { Args: { p_request_id: string; p_restore: Json }; Returns: Json };
      m23_begin_rollback: { Args: { p_request_id: string; p_rollback: Json }; Returns: Json };
      m23_begin_scheduled_backups: { Args: Record<PropertyKey, never>; Returns: number };
      m23_begin_scheduled_tests: { Args: Record<PropertyKey, never>; Returns: number };
      m23_begin_test: { Args: { p_request_id: string; p_test: Json }; Returns: Json };
      m23_choose_key: {
        Args: { p_instead_of?: string; p_job_id: string; p_key_id: string; p_lease: string };
        Returns: string;
      };
      m23_claim_alerts: { Args: { p_limit?: number }; Returns: Json };
      m23_claim_backup: { Args: { p_job_id?: string }; Returns: Json };
      m23_claim_erasure: { Args: Record<PropertyKey, never>; Returns: Json };
      m23_claim_restore: { Args: Record<PropertyKey, never>; Returns: Json };
      m23_claim_test: { Args: { p_test_id?: string }; Returns: Json };
      m23_detach_restore: { Args: { p_lease: string; p_restore_id: string }; Returns: undefined };
      m23_execute_restore: { Args: { p_lease: string; p_restore_id: string }; Returns: Json };
      m23_execute_test: { Args: { p_lease: string; p_test_id: string }; Returns: Json };
      m23_fail_backup: { Args: { p_error: string; p_job_id: string; p_lease: string }; Returns: undefined };
      m23_fail_restore: { Args: { p_error: string; p_lease: string; p_restore_id: string }; Returns: undefined };
      m23_fail_test: { Args: { p_error: string; p_lease: string; p_test_id: string }; Returns: undefined };
      m23_finish_backup: {
        Args: {
          p_job_id: string;
          p_lease: string;
          p_manifest: string;
          p_manifest_sha256: string;
          p_size_bytes: number;
        };
        Returns: undefined;
      };
      m23_finish_erasure: { Args: { p_lease: string; p_work_id: string }; Returns: undefined };
      m23_finish_request: { Args: { p_body: Json; p_id: string; p_status: number }; Returns: undefined };
      m23_finish_test: { Args: { p_lease: string; p_restore?: Json; p_tally: Json; p_test_id: string }; Returns: Json };
      m23_give_back: { Args: { p_id: string }; Returns: Json };
      m23_go_rounds: { Args: Record<PropertyKey, never>; Returns: number };
      m23_health: { Args: Record<PropertyKey, never>; Returns: Json };
      m23_heartbeat: {
        Args: { p_ended: boolean; p_error?: string; p_name: string; p_version?: string };
        Returns: undefined;
      };
      m23_next_collection: { Args: Record<PropertyKey, never>; Returns: Json };
      m23_note_alert: { Args: { p_error?: string; p_id: string; p_lease: string }; Returns: boolean };
      m23_note_collected: { Args: { p_job_id: string }; Returns: undefined };
      m23_note_restore: { Args: { p_lease: string; p_progress: Json; p_restore_id: string }; Returns: undefined };
      m23_preview_pitr: { Args: { p_request_id: string; p_restore: Json }; Returns: Json };
      m23_preview_rollback: { Args: { p_request_id: string; p_rollback: Json }; Returns: Json };
      m23_read_chunk: {
        Args: { p_after: string[]; p_history?: boolean; p_job_id: string; p_lease: string; p_ordinal: number };
        Returns: unknown;
      };
      m23_record_chunk: { Args: { p_chunk: Json }; Returns: undefined };
      m23_release_work: { Args: { p_lease: string; p_work_id: string }; Returns: undefined };
      m23_save_test: { Args: { p_lease: string; p_state: Json; p_test_id: string }; Returns: undefined };
      m23_stage_table: { Args: { p_lease: string; p_restore_id: string; p_table: Json }; Returns: number };
      m23_stage_test: { Args: { p_lease: string; p_test_id: string }; Returns: Json };
      m23_sweep: { Args: Record<PropertyKey, never>; Returns: Json };
      m23_watch: { Args: Record<PropertyKey, never>; Returns: boolean };
      plan_retention: {
        Args: { p_tenant_id: string };
        Returns: {
          backup_id: string;
          backup_name: string;
          backup_size_bytes: number;
          created_at: string;
          job_type: string;
          reason: string;
        }[];
      };
      verify_audit: { Args: { p_tenant_id: string }; Returns: Json };
    };
    Enums: {
      [_ in never]: never;
    };
    CompositeTypes: {
      [_ in never]: never;
    };
  };
};

type DatabaseWithoutInternals = Omit<Database, '__InternalSupabase'>;

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, 'public'>];

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema['Tables'] & DefaultSchema['Views'])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  }
    ? keyof (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables'] &
        DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Views'])
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables'] &
      DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Views'])[TableName] extends {
      Row: infer R;
    }
    ? R
    : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema['Tables'] & DefaultSchema['Views'])
    ? (DefaultSchema['Tables'] & DefaultSchema['Views'])[DefaultSchemaTableNameOrOptions] extends {
        Row: infer R;
      }
      ? R
      : never
    : never;

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends keyof DefaultSchema['Tables'] | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables']
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables'][TableName] extends {
      Insert: infer I;
    }
    ? I
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema['Tables']
    ? DefaultSchema['Tables'][DefaultSchemaTableNameOrOptions] extends {
        Insert: infer I;
      }
      ? I
      : never
    : never;

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends keyof DefaultSchema['Tables'] | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables']
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables'][TableName] extends {
      Update: infer U;
    }
    ? U
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema['Tables']
    ? DefaultSchema['Tables'][DefaultSchemaTableNameOrOptions] extends {
        Update: infer U;
      }
      ? U
      : never
    : never;

export type Enums<
  DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema['Enums'] | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions['schema']]['Enums']
    : never = never,
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions['schema']]['Enums'][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema['Enums']
    ? DefaultSchema['Enums'][DefaultSchemaEnumNameOrOptions]
    : never;

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema['CompositeTypes']
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  }
    ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions['schema']]['CompositeTypes']
    : never = never,
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions['schema']]['CompositeTypes'][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema['CompositeTypes']
    ? DefaultSchema['CompositeTypes'][PublicCompositeTypeNameOrOptions]
    : never;

export const Constants = {
  public: {
    Enums: {},
  },
} as const;
