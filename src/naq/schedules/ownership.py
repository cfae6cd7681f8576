"""Who owns a declared set, and which release declared it last. Pure.

A set has a *generation* that only grows. A process that declares the set at its start claims it: definitions that are
new become the next generation; definitions that a newer generation replaced are *superseded* and change nothing. So an
old replica that restarts during a rolling deploy cannot undo the new release. With a ``release`` (a number that grows
with each release) that number decides; without one, the digests of the definitions that were declared before.

A user who synchronises by hand is always right: those definitions become the newest generation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from naq.exceptions import SetConflict
from naq.timing.instants import Instant

__all__ = ["Claim", "Claimed", "DeclaredSet", "Superseded", "claim", "digest_of", "renamed"]

REMEMBERED = 100
"""Former definitions of a set whose digests are kept."""


class DeclaredSet(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The record at ``set.<name>``."""

    v: int = 1
    name: str
    generation: int
    digest: str
    """Of the definitions of this generation."""
    past: tuple[str, ...] = ()
    """Digests of former generations, the newest last."""
    release: int | None = None
    origin: str | None = None
    """The application that declares it, as ``module:variable``."""
    declared_at: Instant | None = None
    declared_by: str | None = None
    """The instance that declared this generation first."""
    renamed_to: str | None = None
    """The set that its schedules were made part of."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A process wants to declare a set."""

    name: str
    digest: str
    now: Instant
    instance_id: str
    release: int | None = None
    origin: str | None = None
    by_hand: bool = True
    """A user asked for it: it is the newest generation, whatever was declared before."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The set may be declared. ``record`` is to be written first if it differs from what is stored."""

    record: DeclaredSet


@dataclass(frozen=True, slots=True)
class Superseded:
    """A newer release declared the set: nothing may be changed."""

    reason: str


def claim(stored: DeclaredSet | None, wanted: Claim) -> Claimed | Superseded:
    """Whether a set may be declared. Raises `SetConflict` when another application declares it."""
    if stored is None:
        return Claimed(_record(wanted, 1, ()))
    if stored.renamed_to is not None and not wanted.by_hand:
        return Superseded(
            f"the set was renamed to {stored.renamed_to!r}; to declare it again: naq sync ... --set {wanted.name}"
        )
    if wanted.origin is not None and stored.origin not in (None, wanted.origin) and not wanted.by_hand:
        raise SetConflict(
            f"the schedules of the set {wanted.name!r} are declared by {stored.origin} and by {wanted.origin}: give each "
            f"application a name of its own, Naq(name=...); if {stored.origin} was renamed, take the set over once: "
            f"naq sync {wanted.origin} --set {wanted.name}"
        )
    release = wanted.release if wanted.release is not None else stored.release
    if wanted.digest == stored.digest and release == stored.release and stored.renamed_to is None:
        return Claimed(stored if stored.origin or not wanted.origin else _with_origin(stored, wanted.origin))
    if not wanted.by_hand and (reason := _older(stored, wanted)) is not None:
        return Superseded(reason)
    past = tuple(each for each in (*stored.past, stored.digest) if each != wanted.digest)[-REMEMBERED:]
    following = _record(wanted, stored.generation + 1, past, release)
    return Claimed(following if following.origin else _with_origin(following, stored.origin))


def _older(stored: DeclaredSet, wanted: Claim) -> str | None:
    since = f"generation {stored.generation}, declared by {stored.declared_by} at {stored.declared_at}"
    if wanted.release is not None and stored.release is not None and wanted.release != stored.release:
        older = wanted.release < stored.release
        return f"release {wanted.release} is older than release {stored.release} ({since})" if older else None
    return f"these definitions were replaced by newer ones ({since})" if wanted.digest in stored.past else None


def _record(wanted: Claim, generation: int, past: tuple[str, ...], release: int | None = None) -> DeclaredSet:
    return DeclaredSet(
        name=wanted.name,
        generation=generation,
        digest=wanted.digest,
        past=past,
        release=wanted.release if release is None else release,
        origin=wanted.origin,
        declared_at=wanted.now,
        declared_by=wanted.instance_id,
    )


def _with_origin(stored: DeclaredSet, origin: str | None) -> DeclaredSet:
    return msgspec.structs.replace(stored, origin=origin)


def renamed(old: DeclaredSet, there: DeclaredSet | None, new: str) -> tuple[DeclaredSet, DeclaredSet]:
    """The records of the set ``old`` and of the set named ``new`` (``there`` until now) after the schedules of one were
    made the other's.

    A new set has the generations of the old one, so that the definitions which those replaced stay replaced; its
    application is the one that declares it next.
    """
    follower = msgspec.structs.replace(old, name=new, origin=None, renamed_to=None) if there is None else there
    return msgspec.structs.replace(old, renamed_to=new), msgspec.structs.replace(follower, renamed_to=None)


def digest_of(definitions: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """The digest of some definitions, given as ids and plain values; their order does not matter."""
    text = json.dumps(sorted((name, sorted(flat.items())) for name, flat in definitions), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
