"""The tenants' indexes on this machine, where the memories are in a database elsewhere.

They are derived, so the ones used longest ago may go. Where the memories are files, nothing here is called.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sediment_mcp.config import TENANT_NAME, TENANTS, Config
from sediment_mcp.storage.sqlite.storage import DATABASE

DROPPED = ".dropped-"  # begins the name of a folder that is being removed


@dataclass(frozen=True, slots=True)
class Cache:
    """The indexes of one tenant: their size in bytes, and when they were opened last (seconds)."""

    tenant: str
    path: Path
    size: int
    used_at: float


def list_caches(config: Config) -> list[Cache]:
    """Return the caches of all tenants that have a folder of their own."""
    with contextlib.suppress(OSError):
        folders = [path for path in (config.data_dir / TENANTS).iterdir() if TENANT_NAME.fullmatch(path.name)]
        return [Cache(path.name, path, _measure(path), _read_time(path)) for path in folders]
    return []


def choose_surplus(caches: Sequence[Cache], limit: int, open_tenants: Collection[str]) -> list[Cache]:
    """Return the caches used longest ago, without which the rest takes at most ``limit`` bytes.

    Those of open tenants stay, and count.
    """
    excess = sum(cache.size for cache in caches) - limit
    surplus: list[Cache] = []
    for cache in sorted(caches, key=lambda cache: cache.used_at):
        if excess <= 0:
            break
        if cache.tenant not in open_tenants:
            surplus.append(cache)
            excess -= cache.size
    return surplus


def set_aside(cache: Cache) -> Path | None:
    """Rename a cache, so that nobody opens it any more; None if it is gone, or is no mere cache."""
    if (cache.path / DATABASE).exists():
        return None
    aside = cache.path.with_name(f"{DROPPED}{secrets.token_hex(8)}")
    try:
        return cache.path.rename(aside)
    except OSError:
        return None


def remove_set_aside(config: Config) -> None:
    """Remove what was set aside, also by a process that has died since."""
    for path in (config.data_dir / TENANTS).glob(f"{DROPPED}*"):
        shutil.rmtree(path, ignore_errors=True)


def note_use(config: Config) -> None:
    """Note that the cache of a tenant is used now."""
    with contextlib.suppress(OSError):
        os.utime(config.store_dir)


def _measure(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def _read_time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
