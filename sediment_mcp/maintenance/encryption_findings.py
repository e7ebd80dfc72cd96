"""What the doctor finds about encryption: of the files, of the key, and of the disk below.

It looks at first bytes and opens nothing, so that it can say what is the matter where nothing opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sediment_mcp.config import Config
from sediment_mcp.errors import BadArgument, StorageError
from sediment_mcp.maintenance.directory_files import DirectoryFile, list_files, list_stores
from sediment_mcp.maintenance.findings import Finding
from sediment_mcp.storage.sqlite.library import sqlcipher_version
from sediment_mcp.storage.sqlite.page_salvage import is_likely_encrypted
from sediment_mcp.system.database_files import is_encrypted, is_open_here
from sediment_mcp.system.directory_encryption import MARKER, DirectoryEncryption, Marker
from sediment_mcp.system.disk_encryption import DiskEncryption, inspect_disk
from sediment_mcp.system.key_sources import describe_source
from sediment_mcp.system.text import list_names

RESTORE = "Give the recovery code to `sediment-mcp key restore`, which writes it anew."
OFF = "Off: whoever can read the files can read the memories."
ENDINGS = {
    "encrypting": "sediment-mcp encrypt, run again, encrypts the others beside running servers.",
    "decrypting": "sediment-mcp decrypt, run again, decrypts the others beside running servers.",
}


def check_encryption(config: Config, encryption: DirectoryEncryption) -> tuple[list[Finding], bool]:
    """Return the findings, and whether the files can be opened; without their key they cannot."""
    try:
        marker = encryption.marker
        if marker is None:
            return _check_unmarked(config)
        encryption.key()
        version = sqlcipher_version()
    except (StorageError, BadArgument) as error:  # the latter without the extra
        return [Finding("encryption", "problem", str(error))], False
    return [_describe(marker, version), *_check_plain_files(config, marker)], True


def check_disk_encryption(directory: Path) -> Finding:
    """Say whether the disk is encrypted, where the system tells."""
    return Finding("disk encryption", "ok", _describe_disk(inspect_disk(directory)))


def _describe_disk(found: DiskEncryption) -> str:
    if found.state == "encrypted":
        return f"By {found.by}: whoever takes the machine while it is off reads nothing."
    if found.state == "converting":
        return f"{found.by} is at work on it and not done."
    if found.state == "plain":
        return f"None ({found.by} is off): whoever takes the disk reads what is not encrypted by itself."
    return f"Not known: {found.by}."


def _describe(marker: Marker, version: str) -> Finding:
    where = describe_source(marker.source, marker.key_id)
    if marker.state == "encrypted":
        return Finding("encryption", "ok", f"On, with {version}; the key is in {where}, and works.")
    done = "encrypted" if marker.state == "encrypting" else "decrypted"
    return Finding(
        "encryption", "warning", f"Half done: some files are not {done} yet; the key is in {where}.",
        ENDINGS[marker.state],
    )  # fmt: skip


# --- without the marker -------------------------------------------------------------------------


def _check_unmarked(config: Config) -> tuple[list[Finding], bool]:
    """Report a directory that is not encrypted, or has lost the file that says that it is."""
    if config.database:
        return [], True
    traces = _find_encrypted_files(config.data_dir)
    if not traces:
        return [Finding("encryption", "ok", OFF)], True
    sentence = (
        f"{list_names(traces, 3)} seem to be encrypted, and {MARKER}, which says with which key, is missing."
    )
    return [Finding("encryption", "problem", sentence, RESTORE)], False


def _find_encrypted_files(data_dir: Path) -> list[str]:
    """Return the names of files that nobody could read if the directory were not encrypted.

    A database whose bytes look random counts, unless a backup is not encrypted: then it is damaged all over.
    """
    files = [file for store in list_stores(data_dir) for file in list_files(store)]
    backups = [is_encrypted(file.path) for file in files if file.kind == "backup"]
    has_plain_backup = any(kind is False for kind in backups)
    return [file.path.name for file in files if _is_trace(file, has_plain_backup=has_plain_backup)]


def _is_trace(file: DirectoryFile, *, has_plain_backup: bool) -> bool:
    if file.is_database:
        may_be = is_encrypted(file.path) is True and not has_plain_backup and not is_open_here(file.path)
        return may_be and is_likely_encrypted(file.path)
    return file.is_marked_encrypted


# --- what is not encrypted ----------------------------------------------------------------------


def _check_plain_files(config: Config, marker: Marker) -> Iterator[Finding]:
    """Report files of an encrypted directory that anybody could read."""
    if marker.state != "encrypted" or config.database:
        return
    plain: list[str] = []
    unknown: list[str] = []
    for store in list_stores(config.data_dir):
        for file in list_files(store):
            if file.kind == "other":
                unknown.append(file.path.name)
            elif file.kind != "leftover" and file.is_plain:
                plain.append(file.path.name)
    if plain:
        yield Finding(
            "plain files", "warning", f"Not encrypted: {list_names(plain, 3)}.",
            "sediment-mcp encrypt, run again, encrypts them too.",
        )  # fmt: skip
    if unknown:
        sentence = f"Not from sediment-mcp, so not encrypted by it: {list_names(unknown, 3)}."
        yield Finding("unknown files", "warning", sentence, "Move them away or delete them.")
