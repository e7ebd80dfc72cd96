"""Encrypt a data directory, or take that back, while servers are running.

The marker is written first: from then on whatever any process writes anew is of the new kind, and each file
tells by its first bytes of which kind it is. Then one file after the other is copied into its new kind,
compared, and put in the place of the old one in one step. So a process that is killed at any moment leaves a
directory that opens, and the next run goes on with what is left.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from sediment_mcp.config import ENCRYPT_EXTRA, Config
from sediment_mcp.errors import BadArgument, DamagedDatabase, StorageError
from sediment_mcp.maintenance.directory_conversion import (
    ConversionReport,
    check_space,
    convert_directory,
    list_plain_files,
)
from sediment_mcp.maintenance.directory_files import list_files, list_stores
from sediment_mcp.storage.sqlite import swap
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.read_only import describe
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.system.data_directory import find_fault, prepare_directory
from sediment_mcp.system.data_key import DataKey, generate_key
from sediment_mcp.system.database_files import is_encrypted
from sediment_mcp.system.directory_encryption import (
    EXTRA_MODULES,
    MARKER,
    DirectoryEncryption,
    Marker,
    State,
    find_encryption,
)
from sediment_mcp.system.extras import check_module
from sediment_mcp.system.files import translate_os_errors
from sediment_mcp.system.key_sources import (
    KeySource,
    choose_source,
    describe_source,
    keep_key,
    read_command_key,
)
from sediment_mcp.system.progress import Progress, ignore_progress

ON_SERVER = (
    "The memories are in PostgreSQL, where the disks of the server can be encrypted: ask its operator."
)


@dataclass(frozen=True, slots=True)
class EncryptionPlan:
    """With which key a directory is encrypted, and where that is kept.

    With ``is_new`` nobody has seen its recovery code yet.
    """

    key: DataKey
    source: KeySource
    is_new: bool


def plan_encryption(config: Config, source: KeySource | None = None) -> EncryptionPlan:
    """Check that the directory can be encrypted, and return with which key; write nothing.

    ``source`` is where a new key is to be kept, if the user has chosen that.

    Raises:
        BadArgument: it cannot be, for lack of the extra or because it is on a server.
        StorageError: it may only be read, it is damaged, there is no room, or its key cannot be had.
    """
    encryption = _open_encryption(config)
    _assert_usable(config)
    marker = encryption.marker
    if marker is not None:
        if source not in (None, marker.source):
            raise BadArgument(
                f"The key is in {describe_source(marker.source, marker.key_id)} already: leave --key out."
            )
        return EncryptionPlan(encryption.key(), marker.source, is_new=False)
    _assert_no_lost_key(config.data_dir)
    _assert_convertible(config, encryption, encrypts=True)
    source = source or choose_source(config.key_command)
    if source == "command":
        return EncryptionPlan(read_command_key(config.key_command), source, is_new=False)
    return EncryptionPlan(generate_key(), source, is_new=True)


def encrypt_directory(
    config: Config, plan: EncryptionPlan, progress: Progress = ignore_progress
) -> ConversionReport:
    """Keep the key, and encrypt every file of the directory that is not yet.

    Raises:
        KeyUnavailable: the key cannot be kept.
        StorageError: a file cannot be read or written, or a process is in the way for too long; the next run
            goes on.
    """
    encryption = _open_encryption(config)
    prepare_directory(config.data_dir)
    with translate_os_errors():
        marker = encryption.marker
        if marker is None:
            marker = Marker("encrypting", plan.key.id, plan.source)
            keep_key(plan.source, plan.key, config.key_command)
        was_encrypted = marker.state == "encrypted"
        if not was_encrypted:
            encryption.write_marker(replace(marker, state="encrypting"))
        report = convert_directory(encryption, config.tuning, progress, renews_indexes=not was_encrypted)
        if not was_encrypted:
            encryption.write_marker(replace(marker, state="encrypted"))
    return report


def decrypt_directory(config: Config, progress: Progress = ignore_progress) -> ConversionReport:
    """Decrypt every file of the directory; the key stays where it is kept.

    Raises:
        BadArgument: the directory is not encrypted.
        DiskFull: there is no room for the largest file once more.
        StorageError: see `encrypt_directory`.
    """
    encryption = _open_encryption(config)
    _assert_usable(config)
    marker = encryption.marker
    if marker is None:
        raise BadArgument("The data directory is not encrypted: there is nothing to decrypt.")
    encryption.key()
    _assert_convertible(config, encryption, encrypts=False)
    with translate_os_errors():
        encryption.write_marker(replace(marker, state="decrypting"))
        report = convert_directory(encryption, config.tuning, progress, renews_indexes=True)
        encryption.remove_marker()
    return report


def restore_key(config: Config, key: DataKey) -> Marker:
    """Keep a key again whose code was written down, and return what the marker says then.

    A marker that is lost or damaged is written anew, if a database of the directory opens with the key.

    Raises:
        BadArgument: it is not the key of this directory.
        KeyUnavailable: the key cannot be kept.
        StorageError: the directory cannot be read or written.
    """
    encryption = _open_encryption(config)
    _assert_usable(config)
    try:
        marker = encryption.marker
    except StorageError:
        marker = None
    if marker is not None and marker.key_id != key.id:
        raise BadArgument(
            f"This is the recovery code of another data directory: {config.data_dir} was encrypted with the "
            f"key {marker.key_id}, and this is {key.id}."
        )
    state = marker.state if marker is not None else _find_state(config.data_dir, key)
    source = choose_source(config.key_command)
    keep_key(source, key, config.key_command)
    restored = Marker(state, key.id, source)
    if restored != marker:
        with translate_os_errors():
            encryption.write_marker(restored)
    return restored


def find_marker(config: Config) -> Marker:
    """Return what the marker says; the key itself is not asked for.

    Raises:
        BadArgument: the directory is not encrypted.
        StorageError: the marker cannot be read.
    """
    marker = _open_encryption(config).marker
    if marker is None:
        raise BadArgument(f"{config.data_dir} is not encrypted: `sediment-mcp encrypt` does that.")
    return marker


def find_key(config: Config) -> DataKey:
    """Return the key of an encrypted directory.

    Raises:
        BadArgument: the directory is not encrypted.
        KeyUnavailable: the key cannot be had.
    """
    find_marker(config)
    return _open_encryption(config).key()


def _open_encryption(config: Config) -> DirectoryEncryption:
    """Return the encryption of the data directory.

    Raises:
        BadArgument: the memories are on a server, or the extra is not installed.
    """
    if config.database:
        raise BadArgument(ON_SERVER)
    for module in EXTRA_MODULES:
        check_module(module, ENCRYPT_EXTRA, "An encrypted data directory")
    return find_encryption(config)


def _assert_usable(config: Config) -> None:
    """Check that the directory can be trusted and written.

    Raises:
        StorageError: it cannot be.
    """
    if fault := find_fault(config.data_dir):
        raise StorageError(str(fault))
    for store in list_stores(config.data_dir):
        if store.exists() and not os.access(store, os.R_OK | os.W_OK | os.X_OK):
            raise StorageError(describe(store / DATABASE))


def _assert_no_lost_key(data_dir: Path) -> None:
    """Check that a directory without a marker has no database that needs a key.

    Raises:
        StorageError: it has one, and a second key would hide the first.
    """
    for store in list_stores(data_dir):
        if is_encrypted(store / DATABASE):
            raise StorageError(
                f"{store / DATABASE} is encrypted already, or damaged, and {MARKER}, which names its key, is "
                "missing: give the recovery code to `sediment-mcp key restore`, or run `sediment-mcp doctor`."
            )


def _assert_convertible(config: Config, encryption: DirectoryEncryption, *, encrypts: bool) -> None:
    """Check before anything is written that all databases are sound and fit on the disk.

    Raises:
        DamagedDatabase: a database is damaged.
        DiskFull: there is no room for the largest file once more.
    """
    for store in list_stores(config.data_dir):
        new = swap.replacement_path(store / DATABASE)
        path = new if new.exists() else store / DATABASE
        if path.exists() and path.stat().st_size > 0:
            key = encryption.database_key(path)
            with contextlib.closing(SqliteDatabase(path, read_only=True, key=key)) as opened:
                if opened.integrity_faults():
                    raise DamagedDatabase
    check_space(config.data_dir, config.tuning, encrypts=encrypts)


def _find_state(data_dir: Path, key: DataKey) -> State:
    """Return the state of a directory whose marker is lost.

    Raises:
        BadArgument: none of its databases opens with the key.
    """
    files = [file for store in list_stores(data_dir) for file in list_files(store)]
    encrypted = [file.path for file in files if file.is_database and file.size > 0 and not file.is_plain]
    if not any(_opens(path, key) for path in encrypted):
        raise BadArgument(
            f"No database in {data_dir} opens with this recovery code: look whether it is the right "
            "directory, and the code that was shown when it was encrypted."
        )
    return "encrypting" if list_plain_files(data_dir) else "encrypted"


def _opens(path: Path, key: DataKey) -> bool:
    try:
        with contextlib.closing(SqliteDatabase(path, read_only=True, key=key.derive("database"))):
            return True
    except StorageError:
        return False
