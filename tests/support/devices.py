"""Hosts of several devices that synchronize through one folder, set up without a passphrase."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from sediment_mcp.sync.engine import SyncEngine
from sediment_mcp.sync.report import SyncReport
from sediment_mcp.sync.settings import SyncSettings, read_settings, write_settings
from sediment_mcp.transfer.encryption import generate_identity
from support.host import Host

IDENTITY = generate_identity()


def pair(host: Host, folder: Path, device: str, *, is_automatic: bool = False) -> Host:
    """Let a host synchronize through a folder, and do so once."""
    folder.mkdir(exist_ok=True)
    write_settings(host.app, SyncSettings(folder, device, IDENTITY, is_automatic))
    synchronize(host)
    return host


def synchronize(host: Host) -> SyncReport:
    return SyncEngine(host.app).run()


def change_settings(host: Host, **changes: Any) -> None:
    settings = read_settings(host.app)
    assert settings is not None
    write_settings(host.app, dataclasses.replace(settings, **changes))
