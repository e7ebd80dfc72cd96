"""Damage to derived files: each takes a data directory and harms the indexes in it, never the database."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from sediment_mcp.errors import DamagedFile
from sediment_mcp.indexes.index_files import ENCRYPTED_TEXT
from sediment_mcp.system.directory_encryption import DirectoryEncryption

FILES = ("text.json", "text-*/*", ENCRYPTED_TEXT, "vectors-*.json", "vectors-*.codes", "vectors-*.npy")
INDEXES = ("text-*", ENCRYPTED_TEXT, "vectors-*")
SWAPPED = "segment files swapped"
Damage = Callable[[Path, random.Random], None]


def _a_file(directory: Path, chance: random.Random) -> Path | None:
    found = [path for path in directory.glob(chance.choice(FILES)) if path.is_file()]
    return chance.choice(sorted(found)) if found else None


def _rewritten(change: Callable[[bytes, random.Random], bytes]) -> Damage:
    """Put other bytes into one file's place, as a file of its own: who has the old one open keeps that."""

    def damage(directory: Path, chance: random.Random) -> None:
        path = _a_file(directory, chance)
        if path is None:
            return
        try:
            data = path.read_bytes()
            temporary = path.with_name(path.name + ".damaged")
            temporary.write_bytes(change(data, chance))
            temporary.replace(path)
        except FileNotFoundError:  # a server has just put a new snapshot in its place
            return

    return damage


def _flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 8)) if data else 0):
        bit = chance.randrange(len(data) * 8)
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _deleted(directory: Path, chance: random.Random) -> None:
    if chance.random() < 0.3:
        for path in (*_find_indexes(directory), directory / "text.json"):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    elif (path := _a_file(directory, chance)) is not None:
        path.unlink(missing_ok=True)


def has_text_index(directory: Path) -> bool:
    """Whether there is a snapshot of the text index, sound or not."""
    return any((directory / name).exists() for name in ("text.json", ENCRYPTED_TEXT))


def _find_indexes(directory: Path) -> list[Path]:
    return [path for pattern in INDEXES for path in directory.glob(pattern)]


def _pointers(directory: Path, change: Callable[[dict[str, object]], object]) -> None:
    encryption = DirectoryEncryption(directory)
    for path in (directory / "text.json", *directory.glob("vectors-*.json")):
        try:
            pointer = json.loads(encryption.decrypt(path.read_bytes(), path.name))
            change(pointer)
            temporary = path.with_name(path.name + ".damaged")
            temporary.write_bytes(encryption.encrypt(json.dumps(pointer).encode(), path.name))
            temporary.replace(path)
        except (OSError, ValueError, DamagedFile):
            continue


def _other_format(directory: Path, _: random.Random) -> None:
    _pointers(directory, lambda pointer: pointer.update(settings="of another version"))


def _other_model(directory: Path, _: random.Random) -> None:
    def change(pointer: dict[str, object]) -> None:
        if "fingerprint" in pointer:
            pointer["fingerprint"] = "f" * 64

    _pointers(directory, change)


def _another_list(directory: Path, chance: random.Random) -> None:
    """Change what the vector index's pointer says of its content, all its checksums untouched."""

    def change(pointer: dict[str, object]) -> None:
        if "codes" in pointer:
            pointer["count"] = max(0, int(str(pointer["count"])) + chance.choice((-1, 1)))
            pointer["seq"] = int(str(pointer["seq"])) + chance.randrange(3)

    _pointers(directory, change)


def _another_segment(directory: Path, chance: random.Random) -> None:
    """Let one segment file of the text index, sound in itself, stand in another one's place."""
    for folder in directory.glob("text-*"):
        files = sorted(path for path in folder.glob("*.*") if path.suffix != ".json")
        suffix = chance.choice([path.suffix for path in files]) if files else ""
        alike = [path for path in files if path.suffix == suffix]
        if len(alike) > 1:
            one, other = chance.sample(alike, 2)
            temporary = one.with_name(one.name + ".damaged")
            shutil.copy(other, temporary)
            temporary.replace(one)


DAMAGES: dict[str, Damage] = {
    "derived file truncated": _rewritten(lambda data, chance: data[: chance.randrange(len(data) + 1)]),
    "derived file, bits flipped": _rewritten(_flipped),
    "derived file is garbage": _rewritten(lambda data, chance: chance.randbytes(len(data))),
    "derived files deleted": _deleted,
    "index of another format": _other_format,
    "index of another model": _other_model,
    "index pointer altered": _another_list,
    SWAPPED: _another_segment,
}


def transplant(source: Path, directory: Path) -> None:
    """Put the indexes of another data directory in the place of this one's."""
    for path in _find_indexes(directory):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    for path in (*_find_indexes(source), *source.glob("text.json")):
        if path.is_dir():
            shutil.copytree(path, directory / path.name)
        else:
            shutil.copy(path, directory / path.name)
