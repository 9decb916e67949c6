"""Logs: one JSON object per line on standard error."""

from __future__ import annotations

import logging
from typing import TextIO, cast

import structlog

from fleetroll_common.streams import LogSink


def configure_logs(level: str) -> None:
    """Write lines of ``level`` (debug, info, warning, error) and above."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", LogSink())),
        cache_logger_on_first_use=True,
    )
