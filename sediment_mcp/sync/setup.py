"""Create a folder through which devices synchronize, join one, leave it.

The key that all files in the folder are encrypted for lies in it too, as ``key.age``, encrypted with a
passphrase that only the person knows. The key itself is the recovery code: what a person writes down opens
every file with `age`, whether ours is at hand or not.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import unicodedata
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from sediment_mcp.errors import BadArgument, StorageError
from sediment_mcp.sync.folder import ABOUT_FILE, KEY_FILE, list_devices, read_about, writing
from sediment_mcp.sync.settings import SyncSettings, read_settings, write_settings
from sediment_mcp.system.files import create_private, refuse_link, write_atomically
from sediment_mcp.transfer.encryption import decrypt, encrypt, generate_identity, parse_identity

if TYPE_CHECKING:
    from sediment_mcp.app import Application

RECOVERY_PREFIX = "AGE-SECRET-KEY-1"
DEFAULT_NAME = "device"
MAX_NAME_CHARS = 40
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
RESERVED_NAMES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)))
)
"""What Windows takes for a device of its own, in a folder's name too."""

PLACEHOLDERS = (f".{KEY_FILE}.icloud",)
"""Names under which a carrier shows that it has not brought the key yet."""


# --- create and join ----------------------------------------------------------------------------


def create(app: Application, folder: Path, device: str, passphrase: str) -> str:
    """Create a folder to synchronize through, as its first device; return the recovery code.

    ``device`` is a name for this one; empty: that of the machine. Nothing is synchronized yet.

    Raises:
        BadArgument: the store synchronizes already, or the folder or the name cannot be used.
        StorageError: the folder cannot be written.
    """
    folder = check_new_folder(app, folder)
    name = _choose_device(folder, device)
    identity = generate_identity()
    with writing(folder):
        folder.mkdir(exist_ok=True)
        _write_key(folder, identity, passphrase)
    write_settings(app, SyncSettings(folder, name, identity))
    return identity


def join(app: Application, folder: Path, device: str, secret: str) -> None:
    """Let this device synchronize through a folder that another has created.

    ``secret`` is the passphrase, or the recovery code. Nothing is synchronized yet.

    Raises:
        BadArgument: the secret is wrong, the store synchronizes already, or the folder cannot be used.
        StorageError: the folder cannot be written.
    """
    folder = check_joined_folder(app, folder)
    identity = _open_key(folder, secret)
    write_settings(app, SyncSettings(folder, _choose_device(folder, device), identity))


def check_new_folder(app: Application, folder: Path) -> Path:
    """Return the real path of a folder that may become one to synchronize through.

    Raises:
        BadArgument: it may not; the sentence says why.
        StorageError: it cannot be written.
    """
    folder = _check_place(app, folder)
    if _find_key(folder) or _find_placeholder(folder):
        raise BadArgument(
            f"{folder} is a sync folder already: run `sediment-mcp sync join` with it, and the passphrase of "
            "the device that made it."
        )
    if not folder.is_dir():
        if folder.exists() or not folder.parent.is_dir():
            raise BadArgument(
                f"There is no folder {folder}: make it first, or plug in the disk that holds it."
            )
        _check_writable(folder.parent)
        return folder
    if others := sorted(entry.name for entry in _list_visible(folder) if entry.is_dir()):
        raise BadArgument(
            f"{folder} holds other folders, such as {others[0]}: name one within it only for this, such as "
            f"{folder / 'sediment'}."
        )
    _check_writable(folder)
    return folder


def check_joined_folder(app: Application, folder: Path) -> Path:
    """Return the real path of a folder that may be joined.

    Raises:
        BadArgument: it may not; the sentence says why.
        StorageError: it cannot be written.
    """
    folder = _check_place(app, folder)
    if not folder.is_dir():
        raise BadArgument(f"There is no folder {folder}: start what carries it, or plug in its disk.")
    if not _find_key(folder) and not _list_readable_devices(folder):
        _refuse_without_key(folder)
    _check_writable(folder)
    return folder


def _check_place(app: Application, folder: Path) -> Path:
    """Return the real path of a folder that has nothing to do with the data directory."""
    if settings := read_settings(app):
        raise BadArgument(
            f"This store synchronizes already, as {settings.device} through {settings.folder}: "
            "run `sediment-mcp sync leave` first."
        )
    place, data = (Path(os.path.realpath(path)) for path in (folder.expanduser(), app.config.data_dir))
    if place == data or place in data.parents or data in place.parents:
        raise BadArgument(
            f"{place} and the data directory {data} lie one in the other: name a folder elsewhere, "
            "because a carrier must never copy the database itself."
        )
    return place


def _check_writable(folder: Path) -> None:
    """Check that files can be made in the folder.

    Raises:
        StorageError: they cannot.
    """
    with writing(folder):
        path, descriptor = create_private(folder / ".sediment")
        os.close(descriptor)
        path.unlink()


def _list_visible(folder: Path) -> list[os.DirEntry[str]]:
    with writing(folder):
        return [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]


def _refuse_without_key(folder: Path) -> NoReturn:
    if _find_placeholder(folder):
        raise BadArgument(f"The key in {folder} is not downloaded yet: open that folder once, and try again.")
    raise BadArgument(
        f"{folder} is no sync folder, for it holds no {KEY_FILE}: run `sediment-mcp sync init` on the first "
        "device, or wait until it has been carried here."
    )


# --- the key ------------------------------------------------------------------------------------


def is_recovery_code(secret: str) -> bool:
    """Return whether a secret is meant as the recovery code."""
    return "".join(secret.split()).upper().startswith(RECOVERY_PREFIX)


def _find_key(folder: Path) -> bool:
    return (folder / KEY_FILE).is_file()


def _find_placeholder(folder: Path) -> bool:
    return any((folder / name).exists() for name in PLACEHOLDERS)


def _list_readable_devices(folder: Path) -> list[str]:
    return [name for name in list_devices(folder) if (folder / name / ABOUT_FILE).is_file()]


def _write_key(folder: Path, identity: str, passphrase: str) -> None:
    path = folder / KEY_FILE
    refuse_link(path)
    write_atomically(path, encrypt(f"{identity}\n".encode(), passphrase))


def _open_key(folder: Path, secret: str) -> str:
    """Return the key of the folder.

    Raises:
        BadArgument: the secret does not open it.
    """
    if is_recovery_code(secret):
        return _check_code(folder, parse_identity(secret))
    if not _find_key(folder):
        raise BadArgument(f"{folder} holds no {KEY_FILE}, so no passphrase opens it: type the recovery code.")
    try:
        data = (folder / KEY_FILE).read_bytes()
    except OSError as error:
        raise StorageError(f"{folder / KEY_FILE} cannot be read ({error.strerror}): try again.") from error
    try:
        return parse_identity(decrypt(data, secret, KEY_FILE).decode())
    except UnicodeDecodeError:
        raise BadArgument(f"{folder / KEY_FILE} holds no key: type the recovery code instead.") from None


def _check_code(folder: Path, identity: str) -> str:
    """Return the key if it opens what is in the folder."""
    devices = _list_readable_devices(folder)
    if not devices:
        raise BadArgument(
            f"No device has written into {folder} yet, so the recovery code cannot be tried: use the "
            "passphrase, or wait until files have been carried here."
        )
    if not any(read_about(folder, name, identity) for name in devices):
        raise BadArgument("The recovery code is that of another sync folder: look for the right one.")
    return identity


# --- the name of a device -----------------------------------------------------------------------


def _choose_device(folder: Path, device: str) -> str:
    """Return a name for this device's folder that differs from all others by more than case.

    Raises:
        BadArgument: the name that the user has given is another's, or none for a folder.
    """
    taken = {entry.name.lower() for entry in os.scandir(folder)} if folder.is_dir() else set[str]()
    if not device:
        return make_unique(make_device_name(platform.node()), taken)
    if not NAME.fullmatch(device) or device in RESERVED_NAMES:
        raise BadArgument(
            f"{device!r} cannot be the name of a device: use a few small letters a to z, digits and hyphens, "
            "such as laptop-2."
        )
    if device in taken:
        raise BadArgument(f"Another device is called {device}, or was: choose another name.")
    return device


def make_device_name(text: str) -> str:
    """Return a name that every system takes for a folder, as similar to a machine's as can be."""
    first = text.partition(".")[0][:MAX_NAME_CHARS]
    plain = unicodedata.normalize("NFKD", first).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain)[:MAX_NAME_CHARS].strip("-")
    return f"{name}-{DEFAULT_NAME}" if name in RESERVED_NAMES else name or DEFAULT_NAME


def make_unique(name: str, taken: Container[str]) -> str:
    """Return the name, with a number if it is taken."""
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name[: MAX_NAME_CHARS - len(f'-{number}')].rstrip('-')}-{number}"
    return unique


# --- change and leave ---------------------------------------------------------------------------


def require_settings(app: Application) -> SyncSettings:
    """Return what is set.

    Raises:
        BadArgument: this store does not synchronize.
    """
    settings = read_settings(app)
    if settings is None:
        raise BadArgument(
            "This store does not synchronize yet: run `sediment-mcp sync init FOLDER` on the first device, "
            "and `sediment-mcp sync join FOLDER` on the others."
        )
    return settings


def set_automatic(app: Application, *, is_automatic: bool) -> SyncSettings:
    """Say whether running servers synchronize by themselves.

    Raises:
        BadArgument: this store does not synchronize.
    """
    settings = replace(require_settings(app), is_automatic=is_automatic)
    write_settings(app, settings)
    return settings


def use_folder(app: Application, folder: Path) -> SyncSettings:
    """Return what is set, for a folder that a user names; one that has moved is followed.

    Raises:
        BadArgument: this store does not synchronize, or not through this folder.
    """
    settings, place = read_settings(app), Path(os.path.realpath(folder.expanduser()))
    if settings is None:
        how = "join" if _find_key(place) else "init"
        raise BadArgument(f"This store does not synchronize yet: run `sediment-mcp sync {how} {folder}`.")
    if place == settings.folder:
        return settings
    about = read_about(place, settings.device, settings.identity)
    if about is None:
        raise BadArgument(
            f"This store synchronizes through {settings.folder}, and {place} is not that folder: leave it "
            "out, or run `sediment-mcp sync leave` first."
        )
    moved = replace(settings, folder=place)
    write_settings(app, moved)
    return moved


def leave(app: Application, *, remove_files: bool = False) -> SyncSettings:
    """End the synchronization of this device; return what was set.

    What was taken over stays here, and what was given stays with the others. With ``remove_files`` this
    device's own folder is removed: what others have not taken over yet does not reach them any more.

    Raises:
        BadArgument: this store does not synchronize.
        StorageError: the files cannot be removed; nothing was changed.
    """
    settings = require_settings(app)
    own = settings.folder / settings.device
    if remove_files:
        with writing(settings.folder):
            if own.is_dir() and not own.is_symlink():
                shutil.rmtree(own)
    write_settings(app, None)
    return settings
