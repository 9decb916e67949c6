"""What must survive a power cut: files replaced in one step, and records that show their own damage."""

from fleetroll_common.durable.files import create_durably, free_name, stream_durably, sync_dir, sync_tree, write_durably
from fleetroll_common.durable.records import DamagedRecord, dump_record, load_record

__all__ = [
    "DamagedRecord",
    "create_durably",
    "dump_record",
    "free_name",
    "load_record",
    "stream_durably",
    "sync_dir",
    "sync_tree",
    "write_durably",
]
