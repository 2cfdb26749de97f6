"""What a schema cannot say: which tables, moments, backups and snapshots there are.

Valid requests get real ones, so that they reach the work behind them; invalid ones stay as they are.
"""

import json
import os
import uuid
from datetime import datetime, timezone

import schemathesis

REAL = json.loads(os.environ["M23_REAL"])


def now():
    return datetime.now(timezone.utc).isoformat()


FIELDS = {
    "tables": lambda: REAL["tables"],
    "targetTimestamp": now,
    "backupJobId": lambda: REAL["backup"],
    "backup_job_id": lambda: REAL["backup"],
    "baseBackupId": lambda: REAL["backup"],
    "snapshotId": lambda: REAL["snapshot"],
    "dr_plan_id": lambda: REAL["plan"],
    "beforeTransaction": lambda: REAL["transaction"],
    "undo": lambda: {"transactions": [REAL["transaction"]]},
    "rows": lambda: {REAL["tables"][0]: [{"id": REAL["key"]}]},
    "exceptRows": lambda: {REAL["tables"][0]: [{"id": REAL["key"]}]},
    "where": lambda: {REAL["tables"][0]: {"id": {"in": [REAL["key"], None]}}},
    "targetSchema": lambda: f"copy_{uuid.uuid4().hex}",
}


@schemathesis.hook
def before_call(context, case, kwargs):
    if not case.meta.generation.mode.is_positive:
        return
    if case.headers and case.headers.get("Idempotency-Key"):
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    if isinstance(case.body, dict):
        for field, real in FIELDS.items():
            if case.body.get(field) is not None:
                case.body[field] = real()
