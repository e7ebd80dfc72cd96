"""A damaged database of an encrypted directory: what stands survives, nothing is written in plain."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.damages import (
    Damage,
    Known,
    flipped_bits,
    garbage_pages,
    no_first_page,
    no_header,
    opened,
    read_row_by_row,
    truncated,
    without_backup,
    zeroed_pages,
)
from support.embedding_double import load_double
from support.encryption import decrypt_pages, make_encrypted, own_keys
from support.host import Clock, Host

from sediment_mcp.errors import DamagedDatabase
from sediment_mcp.maintenance import doctor
from sediment_mcp.maintenance.findings import find_worst_state
from sediment_mcp.maintenance.salvage import salvage
from sediment_mcp.storage.sqlite import swap
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.database_copy import copy_database
from sediment_mcp.storage.sqlite.page_cipher import PAGE_BYTES, SALT_BYTES, PageCipher
from sediment_mcp.storage.sqlite.storage import DATABASE
from sediment_mcp.system.database_files import SQLITE_MAGIC
from sediment_mcp.system.directory_encryption import DirectoryEncryption, Marker

pytestmark = pytest.mark.encrypt
COUNT, BACKED_UP = 120, 90
PLANTED = "fernweh"
"""A word of every memory, which is in no file that is encrypted."""


def text_of(number: int, choose: random.Random) -> str:
    words = [f"w{choose.randrange(500)}" for _ in range(choose.choice((10, 40, 120, 900)))]
    return f"{PLANTED} memory{number} {' '.join(words)}"


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    directory, clock, choose = tmp_path_factory.mktemp("pattern") / "data", Clock(), random.Random(3)
    with own_keys():
        key = make_encrypted(directory).derive("database")
        host = Host(directory, clock)
        texts: dict[str, str] = {}
        for number in range(COUNT):
            if number == BACKED_UP:
                host.app.backups.make()
            clock.advance(seconds=1)
            text = text_of(number, choose)
            texts[host.store(text)["id"]] = text
        empty_log(directory / DATABASE, key)
        host.end()
        yield Known(directory, texts, dict(list(texts.items())[:BACKED_UP]), key)


def empty_log(path: Path, key: bytes) -> None:
    with contextlib.closing(SqliteDatabase(path, key=key)) as database:
        assert database.empty_log()


@pytest.fixture
def known(pattern: Known, tmp_path: Path) -> Known:
    shutil.copytree(pattern.directory, tmp_path / "data")
    for companion in ("-wal", "-shm"):
        (tmp_path / "data" / f"{DATABASE}{companion}").unlink(missing_ok=True)
    return Known(tmp_path / "data", pattern.texts, pattern.backed_up, pattern.key)


def contents(known: Known) -> dict[str, str]:
    with contextlib.closing(SqliteDatabase(known.path, read_only=True, key=known.key)) as database:
        assert database.integrity_faults() == []
        return dict(database.rows("SELECT id, content FROM memories"))


def readable(known: Known) -> dict[str, str]:
    """What SQLite reads row by row of the pages as they decrypt, whether they stand or not."""
    copy = known.directory.parent / "oracle.db"
    data = known.path.read_bytes()
    copy.write_bytes(SQLITE_MAGIC + pad(decrypt_pages(data, known.key), SALT_BYTES))
    found = read_row_by_row(copy, known.texts)
    copy.unlink()
    return found


def pad(content: bytes, first: int) -> bytes:
    """Add the bytes that end each page, which the decrypted pages lack."""
    size = PAGE_BYTES - 80
    starts = [0, *range(size - first, len(content), size)]
    return b"".join(
        content[a:b] + bytes(80) for a, b in zip(starts, [*starts[1:], len(content)], strict=True)
    )


def assert_nothing_plain(known: Known) -> None:
    for path in known.directory.rglob("*"):
        assert path.is_dir() or PLANTED.encode() not in path.read_bytes(), path.name
    assert not known.path.read_bytes().startswith(SQLITE_MAGIC)


# --- every kind of damage -----------------------------------------------------------------------


def salt(data: bytearray, choose: random.Random) -> None:
    data[:SALT_BYTES] = choose.randbytes(SALT_BYTES)


def damage(known: Known, how: Damage, seed: int = 1) -> bytes:
    data = bytearray(known.path.read_bytes())
    how(data, random.Random(seed))
    known.path.write_bytes(data)
    return bytes(data)


CASES = [
    (zeroed_pages, 0), (zeroed_pages, 1), (garbage_pages, 0), (garbage_pages, 1), (flipped_bits, 0),
    (flipped_bits, 1), (flipped_bits, 2), (truncated, 0), (truncated, 1), (salt, 0), (no_header, 0),
    (no_first_page, 0),
]  # fmt: skip


@pytest.mark.parametrize(("how", "seed"), CASES, ids=[f"{how.__name__} {seed}" for how, seed in CASES])
def test_what_can_be_read_survives_and_the_encrypted_backup_has_the_rest(
    known: Known,
    how: Damage,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damaged = damage(known, how, seed)
    expected = known.backed_up | readable(known)
    replace = swap.replace

    def look_first(database: Path, new: Path) -> None:
        assert_nothing_plain(known)  # the copies that were read are still there
        assert len(list((known.directory / "backups").glob("*.tmp*"))) >= 3
        replace(database, new)

    monkeypatch.setattr(swap, "replace", look_first)
    with opened(known) as host:
        told = salvage(host.app)
        there = contents(known)
        assert {i: text for i, text in there.items() if i in expected} == expected
        assert (known.directory / told["kept"]).read_bytes() == damaged
        assert told["read"] + told["from_backup"] == len(there)
        assert list((known.directory / "backups").glob("*.tmp*")) == []
        host.store(f"life goes on, {PLANTED}")
    assert_nothing_plain(known)


@pytest.mark.parametrize("how", [salt, no_header, no_first_page])
def test_without_salt_header_or_first_page_every_row_survives_even_without_a_backup(
    known: Known, how: Damage
) -> None:
    """The key of the pages does not depend on the salt, and tables are where a new database has them."""
    damage(without_backup(known), how)
    with opened(known) as host:
        told = salvage(host.app)
    assert contents(known) == known.texts
    assert (told["lost"], told["doubtful"]) == (0, 0)


def test_without_the_salt_a_text_that_was_changed_is_doubtful(known: Known) -> None:
    """No page can be checked, so rows are believed by the hash of their text, as in a plain file."""
    without_backup(known)
    cipher = PageCipher(known.key, known.path.read_bytes()[:SALT_BYTES])
    data = bytearray(known.path.read_bytes())
    for number in range(2, len(data) // PAGE_BYTES + 1):
        page = slice((number - 1) * PAGE_BYTES, number * PAGE_BYTES)
        plain = cipher.decrypt(bytes(data[page]), number)
        if b"memory17 " in plain:
            data[page] = cipher.encrypt(plain.replace(b"memory17 ", b"memory71 "), number)
    data[:SALT_BYTES] = bytes(SALT_BYTES)
    known.path.write_bytes(data)
    with opened(known) as host:
        told = salvage(host.app)
    assert told["doubtful"] == 1
    assert sum(contents(known).get(i) != text for i, text in known.texts.items()) == 1


def find_page(known: Known, text: str) -> int:
    """The number of the page that holds the beginning of a text."""
    data = known.path.read_bytes()
    cipher = PageCipher(known.key, data[:SALT_BYTES])
    for number in range(2, len(data) // PAGE_BYTES + 1):
        page = data[(number - 1) * PAGE_BYTES : number * PAGE_BYTES]
        if text.encode()[:40] in cipher.decrypt(page, number):
            return number
    raise AssertionError(text)


def spoil(known: Known, page: int) -> None:
    """Change a bit of the HMAC of a page, which still decrypts to what was written."""
    damage(known, lambda data, _: data.__setitem__(page * PAGE_BYTES - 1, data[page * PAGE_BYTES - 1] ^ 1))


def test_memories_on_a_page_that_fell_come_from_the_backup_and_else_from_the_page_as_doubtful(
    known: Known,
) -> None:
    texts = list(known.texts.values())
    spoil(known, find_page(known, texts[10]))
    spoil(known, find_page(known, texts[BACKED_UP + 10]))
    with opened(known) as host:
        told = salvage(host.app)
    assert contents(known) == known.texts
    assert told["from_backup"] > 0
    assert told["doubtful"] > 0
    assert told["lost"] == 0


def test_what_was_deleted_since_the_backup_stays_deleted_if_its_page_fell(known: Known) -> None:
    identity, text = list(known.backed_up.items())[20]
    with opened(known) as host:
        host.delete(identity)
        empty_log(known.path, known.key)
    spoil(known, find_page(known, text))
    with opened(known) as host:
        assert salvage(host.app)["from_backup"] > 0
        assert identity not in host.found_by_words(text.split()[1])
        assert identity in contents(known)


def test_the_log_is_read_too_with_or_without_the_salt(known: Known) -> None:
    for how in (zeroed_pages, salt):
        copy = Known(known.directory.with_name(how.__name__), known.texts, known.backed_up, known.key)
        shutil.copytree(known.directory, copy.directory)
        host = Host(copy.directory)
        host.list()
        identity = host.store(f"{PLANTED} only in the log")["id"]
        log = copy.path.with_name(f"{DATABASE}-wal")
        kept, database = log.read_bytes(), copy.path.read_bytes()
        host.end()
        log.write_bytes(kept)
        copy.path.write_bytes(database)
        damage(copy, how)
        with opened(copy) as after:
            salvage(after.app)
        assert contents(copy)[identity] == f"{PLANTED} only in the log"
        assert contents(copy).items() >= copy.backed_up.items()
        assert_nothing_plain(copy)


def test_a_plain_database_that_was_still_to_be_encrypted_is_salvaged_into_an_encrypted_one(
    known: Known,
) -> None:
    """Its first bytes are gone, by which it would be told from an encrypted one."""
    encryption = DirectoryEncryption(known.directory)
    plain = known.directory.parent / "plain.db"
    copy_database(known.path, plain, source_key=known.key, key=None)
    known.path.write_bytes(os.urandom(SALT_BYTES) + plain.read_bytes()[SALT_BYTES:])
    plain.unlink()
    marker = encryption.marker
    assert marker is not None
    encryption.write_marker(Marker("encrypting", marker.key_id, marker.source))
    with opened(without_backup(known)) as host:
        salvage(host.app)
    assert contents(known) == known.texts
    assert not known.path.read_bytes().startswith(SQLITE_MAGIC)


def ask_everything(host: Host, known: Known) -> None:
    host.store("a new one")
    for identity in known.texts:
        host.list(ids=[identity])


# --- the doctor ---------------------------------------------------------------------------------


def no_rows(data: bytearray, _: random.Random) -> None:
    """Change a bit of every page but the first."""
    for page in range(2, len(data) // PAGE_BYTES + 1):
        data[page * PAGE_BYTES - 1] ^= 1


@pytest.mark.parametrize("how", [no_rows, salt, truncated])
def test_a_call_that_meets_the_damage_names_the_remedy_and_the_doctor_mends_it(
    known: Known, how: Damage
) -> None:
    damage(known, how, 2)
    with opened(known) as host:
        with pytest.raises(DamagedDatabase, match="`sediment-mcp doctor --fix`"):
            ask_everything(host, known)
        findings = {f.name: f for f in doctor.examine(host.app.config, load_double)}
        broken = findings.get("integrity", findings["database"])
        assert (broken.state, "doctor --fix" in broken.remedy) == ("problem", True)
        (saved,) = doctor.fix(host.app)
        assert "memories were read" in saved.sentence
        after = list(doctor.examine(host.app.config, load_double))
        assert find_worst_state(after) == "ok", [f for f in after if f.state != "ok"]
        assert doctor.fix(host.app) == []
    assert_nothing_plain(known)
