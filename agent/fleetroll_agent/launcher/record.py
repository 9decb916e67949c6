"""The boot record as bytes: JSON with a CRC, as the project's other records. ``recovery`` says which is believed."""

import json
import re
import zlib
from typing import Any, Dict, Optional

from fleetroll_agent.launcher.errors import RecordDamagedError
from fleetroll_agent.launcher.fields import Fields
from fleetroll_agent.launcher.values import (
    Attempt,
    Authority,
    Ended,
    Origin,
    Outcome,
    Reason,
    Record,
    SlotRef,
    Trial,
)

FORMAT = 1
"""Format of the record. A reader refuses others and falls back as for damage."""
MAX_BYTES = 48 * 1024
"""No record is larger: the lists are bounded, and one pipe message (64 KB) holds it."""

SLOT_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}\Z")
DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_KNOWN = frozenset(
    [
        "format",
        "seq",
        "current",
        "previous",
        "trial",
        "last",
        "earlier",
        "highest",
        "boot_id",
        "bad",
        "unproven",
        "crashes",
        "recovered",
    ],
)


def encode(record: Record) -> bytes:
    """Return the record as one line of JSON with the CRC-32 of its canonical form."""
    body = _canonical(record_to_json(record))
    return '{{"crc32":"{:08x}","record":{}}}\n'.format(zlib.crc32(body.encode()) & 0xFFFFFFFF, body).encode()


def decode(data: bytes) -> Record:
    """Return the record that ``data`` holds.

    Raises:
        RecordDamagedError: torn, altered, too large, or of another format.
    """
    if len(data) > MAX_BYTES:
        raise _damaged("it is larger than {} bytes".format(MAX_BYTES))
    try:
        outer = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise _damaged("it is not JSON: {}".format(error)) from error
    if not isinstance(outer, dict) or not isinstance(outer.get("record"), dict):
        raise _damaged("it is not an object with a record")
    body = outer["record"]
    try:
        crc = "{:08x}".format(zlib.crc32(_canonical(body).encode()) & 0xFFFFFFFF)
    except (ValueError, RecursionError) as error:
        raise _damaged("it holds what no record holds: {}".format(error)) from error
    if outer.get("crc32") != crc:
        raise _damaged("its CRC is {}, not {}".format(crc, outer.get("crc32")))
    return record_from_json(body)


def record_to_json(record: Record) -> Dict[str, Any]:
    """Return the record as the agent gets it over the pipe and as it stands on disk."""
    known = {
        "format": FORMAT,
        "seq": record.seq,
        "current": slot_to_json(record.current),
        "previous": None if record.previous is None else slot_to_json(record.previous),
        "trial": None if record.trial is None else _trial_to_json(record.trial),
        "last": None if record.last is None else _outcome_to_json(record.last),
        "earlier": [_outcome_to_json(outcome) for outcome in record.earlier],
        "highest": {"server": record.highest_server, "local": record.highest_local},
        "boot_id": record.boot_id,
        "bad": list(record.bad),
        "unproven": dict(record.unproven),
        "crashes": list(record.crashes),
        "recovered": record.recovered,
    }
    both = dict(record.extra)
    both.update(known)
    return both


def record_from_json(body: Dict[str, Any]) -> Record:
    """Return the record that ``body`` describes; unknown fields are kept.

    Raises:
        RecordDamagedError: a field is missing or wrong; it is named.
    """
    fields = Fields(body, "record", _damaged)
    if fields.integer("format", 1) != FORMAT:
        raise _damaged("its format {} is not known".format(body.get("format")))
    highest = fields.inner("highest")
    unproven = fields.inner("unproven")
    return Record(
        seq=fields.integer("seq", 0),
        current=slot_from_json(fields.inner("current")),
        previous=_optional_slot(fields, "previous"),
        trial=None if body.get("trial") is None else _trial_from_json(fields.inner("trial")),
        last=None if body.get("last") is None else _outcome_from_json(fields.inner("last")),
        earlier=tuple(_outcome_from_json(item) for item in fields.inner_list("earlier")),
        highest_server=highest.integer("server", 0),
        highest_local=highest.integer("local", 0),
        boot_id=fields.text("boot_id"),
        bad=tuple(fields.texts("bad")),
        unproven=tuple(sorted((key, unproven.integer(key, 0)) for key in unproven.names())),
        crashes=tuple(fields.numbers("crashes")),
        recovered=fields.boolean("recovered"),
        extra=tuple(sorted((key, value) for key, value in body.items() if key not in _KNOWN)),
    )


def attempt_to_json(attempt: Attempt) -> Dict[str, Any]:
    """Return ``{"generation": 7, "origin": "server"}``."""
    return {"generation": attempt.generation, "origin": attempt.origin.value}


def attempt_from_json(fields: Fields) -> Attempt:
    """Return the attempt that ``fields`` name (generation >= 1)."""
    return Attempt(fields.choice("origin", Origin), fields.integer("generation", 1))


def slot_to_json(slot: SlotRef) -> Dict[str, Any]:
    """Return a slot with its interpreter."""
    return {
        "slot": slot.name,
        "version": slot.version,
        "digest": slot.digest,
        "interpreter": {"path": slot.python, "abi": slot.abi},
        "attempt": None if slot.attempt is None else attempt_to_json(slot.attempt),
    }


def slot_from_json(fields: Fields) -> SlotRef:
    """Return the slot that ``fields`` describe; its name MUST be a plain folder name."""
    interpreter = fields.inner("interpreter")
    return SlotRef(
        name=fields.matching("slot", SLOT_NAME),
        version=fields.text("version"),
        digest=fields.matching("digest", DIGEST),
        python=interpreter.text("path"),
        abi=interpreter.text("abi"),
        attempt=_optional_attempt(fields),
    )


def _optional_slot(fields: Fields, key: str) -> Optional[SlotRef]:
    return None if fields.absent(key) else slot_from_json(fields.inner(key))


def _optional_attempt(fields: Fields) -> Optional[Attempt]:
    return None if fields.absent("attempt") else attempt_from_json(fields.inner("attempt"))


def _trial_to_json(trial: Trial) -> Dict[str, Any]:
    body = dict(trial._asdict())
    body.update(slot=slot_to_json(trial.slot), attempt=attempt_to_json(trial.attempt), authority=trial.authority.value)
    return body


def _trial_from_json(fields: Fields) -> Trial:
    return Trial(
        slot=slot_from_json(fields.inner("slot")),
        attempt=attempt_from_json(fields.inner("attempt")),
        authority=fields.choice("authority", Authority),
        soak_seconds=fields.number("soak_seconds", 0),
        lease_seconds=fields.number("lease_seconds", 0),
        armed_at=fields.number("armed_at", 0),
        trial_end=fields.number("trial_end", 0),
        tries_left=fields.integer("tries_left", 0),
        starts=fields.integer("starts", 0),
        gives=fields.integer("gives", 0),
        extended_seconds=fields.number("extended_seconds", 0),
        promoted=fields.boolean("promoted"),
        stopped=fields.boolean("stopped"),
    )


def _outcome_to_json(outcome: Outcome) -> Dict[str, Any]:
    body = dict(outcome._asdict())
    body["attempt"] = None if outcome.attempt is None else attempt_to_json(outcome.attempt)
    body.update(ended=outcome.ended.value, reason=outcome.reason.value)
    return body


def _outcome_from_json(fields: Fields) -> Outcome:
    return Outcome(
        attempt=_optional_attempt(fields),
        version=fields.text("version"),
        digest=fields.matching("digest", DIGEST),
        ended=fields.choice("ended", Ended),
        reason=fields.choice("reason", Reason),
        code=fields.text("code"),
        counted=fields.boolean("counted"),
        detail=fields.text("detail"),
        tail=fields.text("tail"),
    )


def _canonical(body: Dict[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _damaged(why: str) -> RecordDamagedError:
    return RecordDamagedError("the boot record can't be read: {}".format(why), "METADATA_INVALID")
