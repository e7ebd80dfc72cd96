"""What is known of the devices: how far each is, what waits, whose clock is wrong.

Looking changes nothing, neither here nor in the folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.errors import StorageError
from sediment_mcp.operations.results import build_result
from sediment_mcp.sync.folder import (
    ABOUT_FILE,
    KEY_FILE,
    LogPath,
    find_next,
    list_devices,
    list_ignored,
    list_log,
    read_about,
    reading,
)
from sediment_mcp.sync.log_file import UnreadableFile, open_file
from sediment_mcp.sync.results import DeviceStatus, SyncStatus
from sediment_mcp.sync.setup import require_settings
from sediment_mcp.system.timestamps import isoformat_to_second

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.sync.settings import SyncSettings

MAX_SKEW = timedelta(minutes=5)
"""A clock that is ahead by more makes its device's changes count as later than they are."""

HIDDEN_FILES = ("desktop.ini", "thumbs.db", "icon\r")
"""What systems lay into any folder, besides names with a dot before them."""

PLACEHOLDER = ".icloud"
"""The ending of what stands for a file that iCloud has not brought yet."""


def read_status(app: Application) -> SyncStatus:
    """Return the state of the synchronization of a store.

    Raises:
        BadArgument: it does not synchronize.
    """
    settings = require_settings(app)
    with app.file.read() as session:
        positions = session.sync.positions()
    return describe_status(settings, positions, app.now())


def describe_status(settings: SyncSettings, positions: Mapping[str, int], now: datetime) -> SyncStatus:
    """Return the state of the synchronization.

    ``positions`` are the numbers of the last file of each device that was taken over.
    """
    problem, devices, ignored = None, list[DeviceStatus](), list[str]()
    try:
        devices = [
            _describe_device(settings, name, positions.get(name, 0), now)
            for name in list_devices(settings.folder)
        ]
        ignored = _list_ignored(settings.folder, [device["name"] for device in devices])
    except StorageError as error:
        problem = str(error)
    return build_result(
        SyncStatus,
        folder=str(settings.folder),
        device=settings.device,
        automatic=settings.is_automatic,
        problem=problem,
        devices=devices,
        bytes=sum(device["bytes"] for device in devices),
        ignored=ignored or None,
    )


def _describe_device(settings: SyncSettings, name: str, position: int, now: datetime) -> DeviceStatus:
    files, is_own = list_log(settings.folder, name), name == settings.device
    about = read_about(settings.folder, name, settings.identity)
    waiting = [] if is_own else [file for file in files if file.last > position]
    skew = None
    if about is not None and not is_own:
        skew = about.clock - min(now, _read_arrival(settings.folder / name / ABOUT_FILE, now))
    reason = _explain(waiting, position, name, settings.identity) if waiting else None
    if not files and about is None:
        reason = "holds nothing that can be read yet"
    return build_result(
        DeviceStatus,
        name=name,
        is_own=is_own,
        files=len(files),
        bytes=sum(file.size for file in files),
        seen_at=None if about is None else isoformat_to_second(about.clock),
        version=None if about is None else about.version,
        waiting=len(waiting),
        waiting_seconds=_measure_waiting(waiting, now) if waiting else None,
        reason=reason,
        skew_seconds=round(skew.total_seconds()) if skew is not None and skew > MAX_SKEW else None,
        ignored=_drop_hidden(list_ignored(settings.folder, name)) or None,
    )


def _explain(waiting: Sequence[LogPath], position: int, device: str, identity: str) -> str:
    """Return why the next of the files that wait is not taken over, or that it only has to be."""
    following = find_next(waiting, position)
    if not following:
        return f"file {position + 1} has not been carried here yet"
    try:
        open_file(following[0], device, identity)
    except UnreadableFile as error:
        return f"{following[0].path.name} {error}"
    return "the next synchronization takes them over"


def _measure_waiting(waiting: Sequence[LogPath], now: datetime) -> int:
    """Return for how many seconds the oldest file has been there."""
    times = [_read_time(file.path, "st_mtime", now) for file in waiting]
    return max(0, round((now - min(times)).total_seconds()))


def _read_arrival(path: Path, now: datetime) -> datetime:
    """Return when a file has come here by our clock, at the latest."""
    return now if sys.platform == "win32" else _read_time(path, "st_ctime", now)


def _read_time(path: Path, field: str, now: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(getattr(path.stat(), field), UTC)
    except (OSError, ValueError, OverflowError):  # gone since, or beyond the calendar
        return now


def _list_ignored(folder: Path, devices: Sequence[str]) -> list[str]:
    """Return the names beside the devices' folders that are none of ours."""
    known = {KEY_FILE, *devices}
    with reading(folder):
        return _drop_hidden(sorted(name for name in os.listdir(folder) if name not in known))


def _drop_hidden(names: Sequence[str]) -> list[str]:
    """Leave out what systems and carriers hide, but for what stands for a missing file."""
    return [
        name
        for name in names
        if name.endswith(PLACEHOLDER) or not (name.startswith(".") or name.lower() in HIDDEN_FILES)
    ]
