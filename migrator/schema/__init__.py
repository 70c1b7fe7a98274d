"""What a database's definitions are, how two of them differ, and whether a difference can be deployed."""

from migrator.schema.check import check
from migrator.schema.clone import clone_schema
from migrator.schema.conflicts import Conflict
from migrator.schema.diff import diff, unified_diff
from migrator.schema.errors import CloneFailed, NotCanonical, ProofFailed, ReadFailed, SchemaError
from migrator.schema.introspect import READER_SETUP, open_reader, read_schema
from migrator.schema.merge import merge
from migrator.schema.model import Schema, Table
from migrator.schema.parse import parse_create
from migrator.schema.plan import Operation, OperationKind, Plan
from migrator.schema.render import render_create
from migrator.schema.serial import from_json, to_json
from migrator.schema.verdict import Verdict
from migrator.schema.verify import drop_leftovers, prove

__all__ = [
    "READER_SETUP",
    "CloneFailed",
    "Conflict",
    "NotCanonical",
    "Operation",
    "OperationKind",
    "Plan",
    "ProofFailed",
    "ReadFailed",
    "Schema",
    "SchemaError",
    "Table",
    "Verdict",
    "check",
    "clone_schema",
    "diff",
    "drop_leftovers",
    "from_json",
    "merge",
    "open_reader",
    "parse_create",
    "prove",
    "read_schema",
    "render_create",
    "to_json",
    "unified_diff",
]
