"""Lines that are encrypted one by one: of both kinds in one file, none readable without the key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.encryption import make_encrypted, own_keys

from sediment_mcp.system.directory_encryption import MARKER, DirectoryEncryption
from sediment_mcp.system.encrypted_lines import decrypt_line, encrypt_line, needs_rewrite, rewrite_lines

pytestmark = pytest.mark.encrypt
NAME = "lines"


@pytest.fixture
def encryption(tmp_path: Path) -> Iterator[DirectoryEncryption]:
    with own_keys():
        make_encrypted(tmp_path)
        yield DirectoryEncryption(tmp_path)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])))
def test_a_line_comes_back_and_is_one_line(encryption: DirectoryEncryption, text: str) -> None:
    line = encrypt_line(text, NAME, encryption)
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert decrypt_line(line, NAME, encryption).decode() == text
    assert decrypt_line(line.rstrip(b"\n"), NAME, encryption).decode() == text


def test_without_a_marker_a_line_is_what_it_says(tmp_path: Path) -> None:
    assert encrypt_line("kiwi", NAME, DirectoryEncryption(tmp_path)) == b"kiwi\n"
    assert decrypt_line(b"kiwi\n", NAME, DirectoryEncryption(tmp_path)) == b"kiwi\n"


def test_a_damaged_line_gives_nothing(encryption: DirectoryEncryption) -> None:
    line = encrypt_line("kiwi", NAME, encryption)
    for damaged in (line[:-4], line[:50] + b"!" + line[51:], line[:60] + line[64:]):
        assert decrypt_line(damaged, NAME, encryption) == b""
    assert decrypt_line(line, "other", encryption) == b""


def test_a_file_is_rewritten_to_the_kind_of_its_directory(encryption: DirectoryEncryption) -> None:
    path = encryption.directory / NAME
    assert not needs_rewrite(path, encryption)
    rewrite_lines(path, encryption)
    assert not path.exists()
    path.write_bytes(b"kiwi\n" + encrypt_line("plum", NAME, encryption))
    assert needs_rewrite(path, encryption)
    rewrite_lines(path, encryption)
    assert not needs_rewrite(path, encryption)
    assert b"kiwi" not in path.read_bytes()
    lines = path.read_bytes().splitlines()
    assert [decrypt_line(line, NAME, encryption) for line in lines] == [b"kiwi", b"plum"]


def test_a_file_of_a_directory_that_is_encrypted_no_more_is_plain_again(
    encryption: DirectoryEncryption, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encryption.directory / NAME
    path.write_bytes(b"kiwi\n" + encrypt_line("plum", NAME, encryption))
    monkeypatch.setattr(DirectoryEncryption, "encrypts", False)
    rewrite_lines(path, encryption)
    assert path.read_bytes() == b"kiwi\nplum\n"
    assert (encryption.directory / MARKER).exists()
