"""What is set of the synchronization, in the database itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sediment_mcp.errors import BadArgument
from sediment_mcp.storage.sqlite.sync_tables import NUMBER

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.storage.sqlite.storage import SqliteStorage

FOLDER, DEVICE, IDENTITY, AUTOMATIC = "folder", "device", "identity", "is_automatic"
ON_A_SERVER = (
    "The memories are in PostgreSQL, which devices share already: connect each of them to that server "
    "instead of synchronizing through a folder."
)


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """Where and as what this device synchronizes.

    Attributes:
        folder: the folder that something carries between the devices.
        device: the name of this device's own folder in it.
        identity: the key that all files in it are encrypted for, as age writes it.
        is_automatic: whether a running server synchronizes in the background.
    """

    folder: Path
    device: str
    identity: str
    is_automatic: bool = False


def require_file(app: Application) -> SqliteStorage:
    """Return the storage, which must be a file.

    Raises:
        BadArgument: the memories are on a server.
    """
    if not app.is_file:
        raise BadArgument(ON_A_SERVER)
    return app.file


def read_settings(app: Application) -> SyncSettings | None:
    """Return what is set; None if nothing is synchronized.

    Raises:
        BadArgument: the memories are on a server.
    """
    with require_file(app).read() as session:
        return parse_settings(session.sync.settings())


def parse_settings(values: Mapping[str, str]) -> SyncSettings | None:
    """Return the settings by their names in the database; None if nothing is synchronized."""
    if not values.keys() >= {FOLDER, DEVICE, IDENTITY}:
        return None
    return SyncSettings(
        Path(values[FOLDER]), values[DEVICE], values[IDENTITY], values.get(AUTOMATIC, "0") == "1"
    )


def write_settings(app: Application, settings: SyncSettings | None) -> None:
    """Set where this device synchronizes; None ends it, and forgets what was given and taken.

    Of another folder or device name nothing is given or taken yet.

    Raises:
        BadArgument: the memories are on a server.
    """
    with require_file(app).write() as session:
        tables, old = session.sync, session.sync.settings()
        if settings is None:
            tables.clear()
            return
        new = {FOLDER: str(settings.folder), DEVICE: settings.device, IDENTITY: settings.identity}
        if any(old.get(name) != new[name] for name in (DEVICE, IDENTITY)):
            tables.clear()
            tables.forget_returned()
            tables.set_settings({NUMBER: "0"})
        tables.set_settings(new | {AUTOMATIC: str(int(settings.is_automatic))})
