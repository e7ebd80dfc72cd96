"""What the doctor finds of the synchronization; it opens the database read-only and changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sediment_mcp.errors import StorageError
from sediment_mcp.maintenance.findings import Finding
from sediment_mcp.storage.sqlite.read_only import open_unchanged
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.sync.settings import parse_settings
from sediment_mcp.sync.status import DeviceStatus, SyncStatus, describe_status
from sediment_mcp.system.files import format_bytes
from sediment_mcp.system.text import format_count

if TYPE_CHECKING:
    from sediment_mcp.config import Config

MAX_LAG = timedelta(days=1)
"""What waits for longer has met with more than a slow carrier."""


def examine_sync(config: Config, now: datetime) -> list[Finding]:
    """Return what there is to say of the synchronization; nothing if this store has none."""
    path = config.store_dir / DATABASE
    if config.database or not path.is_file() or not path.stat().st_size:
        return []
    try:
        with open_unchanged(path) as session:
            settings, positions = parse_settings(session.sync.settings()), session.sync.positions()
    except StorageError:  # other findings say what is wrong with the database
        return []
    if settings is None:
        return []
    return [*check_status(describe_status(settings, positions, now))]


def check_status(status: SyncStatus) -> list[Finding]:
    """Return a finding for the folder, and one for each thing that is wrong with a device."""
    if "problem" in status:
        sentence, _, remedy = status["problem"].partition(": ")
        return [Finding("sync", "warning", f"{sentence}.", f"{remedy[:1].upper()}{remedy[1:]}")]
    devices = format_count(len(status["devices"]), "device")
    how = "by the servers that run" if status["automatic"] else "when you run sediment-mcp sync"
    findings = [
        Finding(
            "sync", "ok",
            f"{status['folder']}, {devices}, {format_bytes(status['bytes'])}, as {status['device']}, {how}.",
        )
    ]  # fmt: skip
    return findings + [finding for device in status["devices"] for finding in _check_device(device)]


def _check_device(device: DeviceStatus) -> list[Finding]:
    findings: list[Finding] = []
    if device.get("waiting_seconds", 0) > MAX_LAG.total_seconds():
        findings.append(
            Finding(
                "sync lag", "warning",
                f"{format_count(device['waiting'], 'file')} of {device['name']} {'waits' if device['waiting'] == 1 else 'wait'} "
                f"for {device['waiting_seconds'] // 86_400} days: {device.get('reason', 'not read')}.",
                "Run sediment-mcp sync; if that changes nothing, look whether what carries the folder is done.",
            )
        )  # fmt: skip
    if "skew_seconds" in device:
        findings.append(
            Finding(
                "sync clocks", "warning", f"{describe_skew(device)}.",
                "Let both set their clocks by the network: the later change of a memory counts.",
            )
        )  # fmt: skip
    return findings


def describe_skew(device: DeviceStatus) -> str:
    """Return how far a device's clock is ahead, without a period."""
    minutes = device.get("skew_seconds", 0) // 60
    return f"The clock of {device['name']} is at least {format_count(minutes, 'minute')} ahead of this one"
