"""What the doctor finds of the synchronization; looking changes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sediment_mcp.errors import StorageError
from sediment_mcp.maintenance.findings import Finding
from sediment_mcp.storage.sqlite.read_only import open_unchanged
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.sync.results import DeviceStatus, SyncStatus
from sediment_mcp.sync.settings import parse_settings
from sediment_mcp.sync.status import describe_status
from sediment_mcp.system.directory_encryption import find_encryption
from sediment_mcp.system.files import format_bytes
from sediment_mcp.system.text import format_count, format_subject

if TYPE_CHECKING:
    from sediment_mcp.config import Config


def examine_sync(config: Config, now: datetime) -> list[Finding]:
    """Return what there is to say of the synchronization; nothing if this store has none."""
    path = config.store_dir / DATABASE
    if config.database or not path.is_file() or not path.stat().st_size:
        return []
    try:
        with open_unchanged(path, find_encryption(config)) as session:
            schema, known = session.database.schema()
            if schema != known:
                return []
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
    waiting_days = device.get("waiting_seconds", 0) // 86_400
    if waiting_days:
        files_are = format_subject(device["waiting"], "file")
        findings.append(
            Finding(
                "sync lag", "warning",
                f"{files_are} waiting from {device['name']}, for {format_count(waiting_days, 'day')}: "
                f"{device.get('reason', '')}.",
                "Run sediment-mcp sync; if that changes nothing, look whether the carrier is done.",
            )
        )  # fmt: skip
    if "skew_seconds" in device:
        findings.append(
            Finding(
                "sync clocks", "warning", describe_skew(device),
                "Let both set their clocks by the network: the later change of a memory counts.",
            )
        )  # fmt: skip
    return findings


def describe_skew(device: DeviceStatus) -> str:
    """Return how far a device's clock is ahead, as a sentence."""
    minutes = device.get("skew_seconds", 0) // 60
    return f"The clock of {device['name']} is at least {format_count(minutes, 'minute')} ahead of this one."
