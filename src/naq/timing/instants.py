"""An instant as a record holds it: with its zone, or the record cannot be read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec

__all__ = ["Instant"]

Instant: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware datetime. Bytes that hold one without a zone are refused where they become a record (`naq.store.codec`): nothing else
could compare it with another, and whoever tried would stop for all schedules."""
