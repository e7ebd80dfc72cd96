"""Pages of encrypted databases: each is what was written or is known not to be, and the copy always opens."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sediment_mcp.errors import DamagedDatabase
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.page_cipher import IV_START, PAGE_BYTES, SALT_BYTES, PageCipher
from sediment_mcp.storage.sqlite.page_salvage import Standing, is_likely_encrypted, make_readable

pytestmark = pytest.mark.encrypt
KEY = bytes(range(32))
ANOTHER_KEY = bytes(32)
ROWS = 400
IN_LOG = "written to the log alone"


@dataclass(frozen=True)
class Files:
    """A database and the log beside it, with a committed row and a larger one that was not."""

    path: Path
    log: Path


def fill(path: Path, key: bytes | None = KEY) -> None:
    with contextlib.closing(SqliteDatabase.prepare(path, key=key)) as database:
        with database.transaction():
            database.execute("CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT)")
            words = ((n, f"note {n} " + "planted words " * (n % 60)) for n in range(ROWS))
            database.execute_many("INSERT INTO notes VALUES (?,?)", words)
        database.empty_log()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A sound file whose log holds a last row, and pages of it that replace those of the file."""
    path, kept = tmp_path_factory.mktemp("sound") / "a.db", tmp_path_factory.mktemp("kept") / "a.db"
    fill(path)
    with contextlib.closing(SqliteDatabase(path, key=KEY)) as database:
        with database.transaction():
            database.execute("INSERT INTO notes VALUES (?,?)", (ROWS, IN_LOG))
            database.execute("UPDATE notes SET text = 'changed' WHERE number = 3")
        for suffix in ("", "-wal"):
            shutil.copyfile(path.with_name(path.name + suffix), kept.with_name(kept.name + suffix))
    return Files(kept, kept.with_name(f"{kept.name}-wal"))


@pytest.fixture
def copy(sound: Files, tmp_path: Path) -> Files:
    found = Files(tmp_path / sound.path.name, tmp_path / sound.log.name)
    shutil.copyfile(sound.path, found.path)
    shutil.copyfile(sound.log, found.log)
    return found


def notes(path: Path, key: bytes | None = KEY) -> dict[int, str]:
    with contextlib.closing(SqliteDatabase(path, key=key)) as database:
        assert database.integrity_faults() == []
        return dict(database.rows("SELECT number, text FROM notes"))


def pages(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[start : start + PAGE_BYTES] for start in range(0, len(data), PAGE_BYTES)]


def rewrite(path: Path, change: Callable[[bytearray], None]) -> None:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


# --- single pages -------------------------------------------------------------------------------


def test_every_page_of_a_sound_file_stands_and_none_in_another_place_or_with_another_key(
    sound: Files,
) -> None:
    all_pages = pages(sound.path)
    cipher = PageCipher(KEY, all_pages[0][:SALT_BYTES])
    other, resalted = PageCipher(ANOTHER_KEY, cipher.salt), PageCipher(KEY, bytes(SALT_BYTES))
    assert len(all_pages) > 30
    for number, page in enumerate(all_pages, start=1):
        assert cipher.stands(page, number)
        assert not cipher.stands(page, number + 1)
        assert not other.stands(page, number)
        assert not resalted.stands(page, number)


def test_pages_are_decrypted_to_what_sqlite_has_written(sound: Files) -> None:
    all_pages = pages(sound.path)
    cipher = PageCipher(KEY, all_pages[0][:SALT_BYTES])
    plain = b"".join(cipher.decrypt(page, number) for number, page in enumerate(all_pages, start=1))
    assert plain.startswith(b"SQLite format 3\0")
    assert plain[20] == PAGE_BYTES - IV_START, "SQLite's own header names the bytes that are reserved"
    assert b"note 17 planted words" in plain
    assert b"planted words" not in b"".join(all_pages)


def test_a_file_of_pages_that_were_encrypted_here_is_one_of_sqlcipher(sound: Files, tmp_path: Path) -> None:
    """Each page is decrypted and encrypted anew, with another salt."""
    all_pages = pages(sound.path)
    cipher, anew = PageCipher(KEY, all_pages[0][:SALT_BYTES]), PageCipher(KEY, os.urandom(SALT_BYTES))
    path = tmp_path / "anew.db"
    path.write_bytes(b"".join(anew.encrypt(cipher.decrypt(p, n), n) for n, p in enumerate(all_pages, 1)))
    assert len(notes(path)) == ROWS


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_page_with_one_wrong_bit_falls(sound: Files, data: st.DataObject) -> None:
    all_pages = pages(sound.path)
    number = data.draw(st.integers(1, len(all_pages)))
    bit = data.draw(st.integers(8 * SALT_BYTES if number == 1 else 0, 8 * PAGE_BYTES - 1))
    page = bytearray(all_pages[number - 1])
    page[bit // 8] ^= 1 << bit % 8
    assert not PageCipher(KEY, all_pages[0][:SALT_BYTES]).stands(bytes(page), number)


@settings(max_examples=40, deadline=None)
@given(content=st.binary(min_size=IV_START, max_size=IV_START), number=st.integers(2, 2**32 - 1))
def test_what_is_likely_encrypted_stands_and_is_decrypted_again(content: bytes, number: int) -> None:
    cipher = PageCipher(KEY, bytes(SALT_BYTES))
    page = cipher.encrypt(content + bytes(PAGE_BYTES - IV_START), number)
    assert cipher.stands(page, number)
    assert cipher.decrypt(page, number)[:IV_START] == content


# --- the readable copy --------------------------------------------------------------------------


def test_a_sound_file_stays_as_it_is_and_takes_its_log_in(copy: Files) -> None:
    before = pages(copy.path)
    standing = make_readable(copy.path, KEY)
    assert (standing.fallen, standing.is_checked) == (0, True)
    assert not copy.log.exists()
    found = notes(copy.path)
    assert (found[ROWS], found[3], len(found)) == (IN_LOG, "changed", ROWS + 1)
    same = sum(old == new for old, new in zip(before, pages(copy.path), strict=False))
    assert same >= len(before) - 4, "pages that stand are not written anew"


def test_after_a_page_that_fell_the_others_are_still_read(copy: Files) -> None:
    copy.log.unlink()
    number = len(pages(copy.path)) - 2
    rewrite(
        copy.path,
        lambda data: data.__setitem__(number * PAGE_BYTES - 100, data[number * PAGE_BYTES - 100] ^ 1),
    )
    make_readable(copy.path, KEY)
    found: set[int] = set()
    with contextlib.closing(SqliteDatabase(copy.path, key=KEY)) as database:
        for row in range(ROWS):
            with contextlib.suppress(DamagedDatabase):
                found.update(database.column("SELECT number FROM notes WHERE number = ?", (row,)))
    assert ROWS - 40 < len(found) < ROWS


def test_a_page_that_fell_becomes_zeros_and_the_others_stay(copy: Files) -> None:
    before = pages(copy.path)
    number = len(before) - 2
    rewrite(copy.path, lambda data: data.__setitem__(number * PAGE_BYTES - 100, 7))
    standing = make_readable(copy.path, KEY)
    after = pages(copy.path)
    assert standing == Standing(len(after), 1, is_checked=True)
    decrypted = PageCipher(KEY, after[0][:SALT_BYTES]).decrypt(after[number - 1], number)
    assert decrypted == bytes(PAGE_BYTES)
    assert after[number - 2] == before[number - 2]


def test_a_page_that_fell_is_kept_on_request_as_what_it_decrypts_to(copy: Files) -> None:
    copy.log.unlink()
    number = len(pages(copy.path)) - 2
    rewrite(
        copy.path,
        lambda data: data.__setitem__(slice(number * PAGE_BYTES - 16, number * PAGE_BYTES), bytes(16)),
    )
    assert make_readable(copy.path, KEY, believes_fallen=True).fallen == 1
    assert len(notes(copy.path)) == ROWS, "only its HMAC was wrong"


@pytest.mark.parametrize("has_log", [True, False])
def test_without_the_salt_every_page_is_still_decrypted(copy: Files, has_log: bool) -> None:
    """The first page in the log has the salt too; without it no page can be checked."""
    if not has_log:
        copy.log.unlink()
    rewrite(copy.path, lambda data: data.__setitem__(slice(0, SALT_BYTES), b"gone for ever!!!"))
    log_has_salt = has_log and any(
        copy.log.read_bytes()[start : start + 4] == b"\0\0\0\1"
        for start in range(32, copy.log.stat().st_size, 4120)
    )
    standing = make_readable(copy.path, KEY)
    assert standing.is_checked == log_has_salt
    assert len(notes(copy.path)) == ROWS + has_log


def test_frames_after_the_last_commit_and_torn_ones_are_left_out(copy: Files) -> None:
    rewrite(copy.log, lambda data: data.__setitem__(len(data) - 1, data[-1] ^ 1))
    make_readable(copy.path, KEY)
    assert ROWS not in notes(copy.path)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_log_cut_anywhere_is_read_as_sqlcipher_reads_it(sound: Files, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, sound.log.stat().st_size))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = []
        for reader in ("own", "library"):
            path = folder / f"{reader}.db"
            shutil.copyfile(sound.path, path)
            path.with_name(f"{reader}.db-wal").write_bytes(sound.log.read_bytes()[:length])
            if reader == "own":
                make_readable(path, KEY)
            found.append(notes(path))
    assert found[0] == found[1]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damages=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=200)), max_size=8),
    keep=st.floats(0, 1),
    believes_fallen=st.booleans(),
)
def test_whatever_happened_to_a_file_each_page_of_its_copy_stands(
    sound: Files, damages: list[tuple[float, bytes]], keep: float, believes_fallen: bool
) -> None:
    original = sound.path.read_bytes()
    data = bytearray(original[: max(1, int(len(original) * keep))])
    for place, written in damages:
        start = int(place * (len(data) - 1))
        data[start : start + len(written)] = written[: len(data) - start]
    path = sound.path.with_name("damaged.db")
    path.write_bytes(data)
    standing = make_readable(path, KEY, believes_fallen=believes_fallen)
    after = pages(path)
    assert len(after) == standing.pages == -(-len(data) // PAGE_BYTES)
    cipher = PageCipher(KEY, after[0][:SALT_BYTES])
    assert all(cipher.stands(page, n) for n, page in enumerate(after, start=1))
    if standing.is_checked:
        kept = [
            n for n, page in enumerate(after[1:], start=1) if page == original[n * PAGE_BYTES :][:PAGE_BYTES]
        ]
        assert len(after) - 1 - len(kept) <= standing.fallen


# --- whether a file is encrypted ----------------------------------------------------------------


def lose_beginning(path: Path) -> None:
    rewrite(path, lambda data: data.__setitem__(slice(0, 200), os.urandom(200)))


@pytest.mark.parametrize("key", [KEY, ANOTHER_KEY, None])
def test_a_damaged_encrypted_file_is_told_from_a_damaged_plain_one(tmp_path: Path, key: bytes | None) -> None:
    for own in (KEY, None):
        path = tmp_path / f"{own is None}.db"
        fill(path, own)
        lose_beginning(path)
        assert is_likely_encrypted(path, key) == (own is not None)


def test_a_text_in_the_place_of_a_database_is_not_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "garbage.db"
    path.write_bytes(b"garbage " * 10_000)
    assert not is_likely_encrypted(path, KEY)
