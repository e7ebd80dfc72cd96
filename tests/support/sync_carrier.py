"""What carries a folder between devices, as badly as Dropbox, Syncthing, git and a USB stick do it.

Each device has a copy of the folder of its own. A carrier brings files of one device's own sub-folder to
another's copy: some of them, in any order, cut off for a while, beside temporary files and conflict copies,
and deletions later than everything else. It never invents a change: in the end all copies are the same.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from random import Random

Listing = dict[str, str]
"""Path within a folder -> digest of the bytes."""

CONFLICTS = (
    "{stem} (Anna's conflicted copy 2026-05-08){suffix}",
    "{stem}.sync-conflict-20260508-120000-ABCDEF1{suffix}",
    "{stem} (1){suffix}",
)
TEMPORARY = (".syncthing.{name}.tmp", "~{name}.tmp", ".{name}.icloud", "{name}.part")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def listing(folder: Path) -> Listing:
    return {
        path.relative_to(folder).as_posix(): digest(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def is_litter(name: str) -> bool:
    """Whether a carrier has made this file, and not a device."""
    return not name.endswith(".age") or name.startswith((".", "~")) or " " in name or ".sync-conf" in name


def carry_some(random: Random, source: Path, target: Path, gone: dict[str, bytes]) -> None:
    """Carry a part of the files of one device's own sub-folder; ``gone`` are those that were there once."""
    target.mkdir(parents=True, exist_ok=True)
    if not source.is_dir():
        return
    names = [path.name for path in source.iterdir() if path.is_file() and not is_litter(path.name)]
    names.sort()
    if random.random() < 0.5:
        random.shuffle(names)
    if random.random() < 0.5:
        names = names[: random.randrange(len(names) + 1)]
    for name in names:
        _carry(random, (source / name).read_bytes(), target / name)
    if gone and random.random() < 0.1:  # what was deleted is carried late, or comes back for a while
        name = random.choice(sorted(gone))
        (target / name).write_bytes(gone[name])
    for path in sorted(target.iterdir()):
        if not (source / path.name).exists() and random.random() < 0.3 and not is_litter(path.name):
            path.unlink()


def _carry(random: Random, data: bytes, target: Path) -> None:
    chance = random.random()
    if chance < 0.08:
        target.write_bytes(data[: random.randrange(len(data) + 1)])
        return
    if chance < 0.12:
        target.write_bytes(
            data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
        )  # room made, not filled
        return
    if chance < 0.20:
        name = random.choice(TEMPORARY).format(name=target.name)
        target.with_name(name).write_bytes(data[: random.randrange(len(data) + 1)])
        return
    if chance < 0.26:
        name = random.choice(CONFLICTS).format(stem=target.stem, suffix=target.suffix)
        target.with_name(name).write_bytes(data if chance < 0.24 else data[: len(data) // 2])
    target.write_bytes(data)


def carry_all(source: Path, target: Path) -> None:
    """Carry everything of a device's own sub-folder, deletions too; what carriers have littered stays."""
    if not source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        return
    target.mkdir(parents=True, exist_ok=True)
    for path in target.iterdir():
        if not (source / path.name).exists() and not is_litter(path.name):
            path.unlink()
    for path in source.iterdir():
        if path.is_file() and not is_litter(path.name):
            (target / path.name).write_bytes(path.read_bytes())


def merge_folders(one: Path, other: Path, given: list[Listing]) -> None:
    """Let two devices that write in the same sub-folder see each other's files, as a carrier does.

    Of two files of one name with different bytes, that of the second device stays, and the other is kept as a
    conflict copy. ``given`` is by device what it has seen there, in the order of the folders.
    """
    one.mkdir(parents=True, exist_ok=True)
    other.mkdir(parents=True, exist_ok=True)
    for name in sorted({path.name for folder in (one, other) for path in folder.glob("*.age")}):
        if is_litter(name):
            continue
        first, second = one / name, other / name
        if first.exists() and second.exists():
            if first.read_bytes() != second.read_bytes():
                conflict = CONFLICTS[0].format(stem=first.stem, suffix=first.suffix)
                for folder in (one, other):
                    (folder / conflict).write_bytes(first.read_bytes())
                first.write_bytes(second.read_bytes())
        elif f"{one.name}/{name}" in given[0] and f"{one.name}/{name}" in given[1]:
            first.unlink(missing_ok=True)
            second.unlink(missing_ok=True)
        else:
            data = (first if first.exists() else second).read_bytes()
            first.write_bytes(data)
            second.write_bytes(data)
        if first.exists():
            for seen in given:
                seen[f"{one.name}/{name}"] = digest(first.read_bytes())
