"""A key comes back from where it was kept, and else one sentence says why it cannot."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backends import fail
from support.keychain import PLACE, FileKeychain, LockedKeychain, use_keychain

from sediment_mcp.errors import BadArgument, KeyUnavailable, StorageError
from sediment_mcp.system import key_sources
from sediment_mcp.system.data_key import DataKey, generate_key, parse_recovery_code
from sediment_mcp.system.directory_encryption import MARKER, DirectoryEncryption, Marker
from sediment_mcp.system.key_sources import choose_source, get_key_file, load_key, store_key

KEY = DataKey(bytes(range(32)))
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep keys of tests out of the user's settings and keychain."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(PLACE, str(tmp_path / "keychain.json"))


def refusal(load: Callable[[], object]) -> str:
    """Return the sentence by which a key is refused, which tells nothing of it and says what to do."""
    with pytest.raises(KeyUnavailable) as caught:
        load()
    sentence = str(caught.value)
    assert sentence.startswith("The memories are encrypted, and ")
    assert sentence.endswith(".")
    assert ": " in sentence
    assert not any(group in sentence for group in KEY.recovery_code.split("-"))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # a traceback shows it
    return sentence


# --- recovery codes -----------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32), st.booleans())
def test_a_recovery_code_gives_the_key_back_however_it_is_written(secret: bytes, is_plain: bool) -> None:
    code = DataKey(secret).recovery_code
    written = code.replace("-", "").lower() if is_plain else f" {code.replace('-', ' ')}\n"
    assert parse_recovery_code(written).secret == secret
    assert parse_recovery_code(code.replace("O", "0").replace("I", "1").replace("B", "8")).secret == secret


@given(st.integers(0, 55), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_slip_of_the_pen_is_noticed(place: int, letter: str) -> None:
    letters = KEY.recovery_code.replace("-", "")
    written = letters[:place] + letter + letters[place + 1 :]
    if written != letters:
        with pytest.raises(BadArgument, match="compare it"):
            parse_recovery_code(written)


def test_two_new_keys_differ_and_neither_shows_itself() -> None:
    one, other = generate_key(), generate_key()
    assert one.id != other.id
    assert one.secret.hex() not in repr(one)
    assert repr(one.secret) not in repr(one)


# --- the keychain -------------------------------------------------------------------------------


def test_a_keychain_keeps_a_key() -> None:
    with use_keychain(FileKeychain()):
        assert choose_source("") == "keychain"
        store_key("keychain", KEY)
        assert load_key("keychain", KEY.id, "") == KEY


def test_without_a_keychain_a_file_is_chosen() -> None:
    with use_keychain(fail.Keyring()):
        assert choose_source("") == "file"
        assert "has no keychain" in refusal(lambda: load_key("keychain", KEY.id, ""))
        with pytest.raises(KeyUnavailable, match="has no keychain"):
            store_key("keychain", KEY)


def test_a_locked_keychain_is_to_be_unlocked() -> None:
    with use_keychain(LockedKeychain()):
        assert "is locked: unlock it" in refusal(lambda: load_key("keychain", KEY.id, ""))


def test_a_keychain_without_the_key_asks_for_the_recovery_code() -> None:
    with use_keychain(FileKeychain()):
        assert "does not have their key" in refusal(lambda: load_key("keychain", KEY.id, ""))


def test_without_keyring_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert 'pip install "sediment-mcp[encrypt]"' in refusal(lambda: load_key("keychain", KEY.id, ""))
    assert choose_source("") == "file"


# --- the key file -------------------------------------------------------------------------------


@POSIX
def test_a_key_file_is_private_and_outside_of_data_directories(tmp_path: Path) -> None:
    store_key("file", KEY)
    path = get_key_file(KEY.id)
    assert load_key("file", KEY.id, "") == KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.is_relative_to(tmp_path / "config")


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_a_key_file_that_concerns_others_is_refused_as_ssh_does(mode: int) -> None:
    store_key("file", KEY)
    get_key_file(KEY.id).chmod(mode)
    assert "run chmod 600" in refusal(lambda: load_key("file", KEY.id, ""))


def test_a_missing_key_file_is_named() -> None:
    sentence = refusal(lambda: load_key("file", KEY.id, ""))
    assert str(get_key_file(KEY.id)) in sentence
    assert "is not there" in sentence


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"hello", KEY.recovery_code.encode()[:-1]])
def test_a_file_without_a_code_is_refused(content: bytes) -> None:
    store_key("file", KEY)
    get_key_file(KEY.id).write_bytes(content)
    assert "is no recovery code" in refusal(lambda: load_key("file", KEY.id, ""))


def test_the_key_of_another_directory_is_refused() -> None:
    store_key("file", KEY)
    other = generate_key()
    get_key_file(KEY.id).rename(get_key_file(other.id))
    assert "has the key of another directory" in refusal(lambda: load_key("file", other.id, ""))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("no folder")
    with pytest.raises(StorageError, match="key file"):
        store_key("file", KEY)


# --- a command ----------------------------------------------------------------------------------


def python(tmp_path: Path, text: str) -> str:
    """Return a command that runs a script."""
    script = tmp_path / "print key.py"
    script.write_text(text)
    return f'"{sys.executable}" "{script}"'


def test_a_command_prints_the_key(tmp_path: Path) -> None:
    command = python(tmp_path, f"print({KEY.recovery_code!r})")
    assert choose_source(command) == "command"
    assert load_key("command", KEY.id, command) == KEY


def test_a_failing_command_tells_its_exit_code_and_never_what_it_printed(tmp_path: Path) -> None:
    command = python(tmp_path, f"print({KEY.recovery_code!r}); import sys; sys.exit('vault 7')")
    sentence = refusal(lambda: load_key("command", KEY.id, command))
    assert "exit code 1" in sentence
    assert "vault" not in sentence


def test_a_command_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sources, "COMMAND_TIMEOUT", 0.01)
    command = python(tmp_path, "import time; time.sleep(60)")
    assert "did not end within" in refusal(lambda: load_key("command", KEY.id, command))


@pytest.mark.parametrize(("command", "said"), [
    ("", "is not set here"),
    ("/nowhere/at-all", "cannot be started"),
    pytest.param('printf "', "its quotes do not match", marks=POSIX),
])  # fmt: skip
def test_a_command_that_cannot_be_started_is_explained(command: str, said: str) -> None:
    assert said in refusal(lambda: load_key("command", KEY.id, command))


def test_a_command_that_prints_something_else_is_refused(tmp_path: Path) -> None:
    assert "is no recovery code" in refusal(
        lambda: load_key("command", KEY.id, python(tmp_path, "print('hello')"))
    )


# --- the marker ---------------------------------------------------------------------------------


def test_the_key_is_asked_for_once(tmp_path: Path) -> None:
    store_key("file", KEY)
    encryption = DirectoryEncryption(tmp_path)
    assert encryption.marker is None
    encryption.write_marker(Marker("encrypted", KEY.id, "file"))
    assert encryption.key() == KEY
    get_key_file(KEY.id).unlink()
    assert encryption.key() == KEY
    refusal(DirectoryEncryption(tmp_path).key)


def test_another_process_may_change_the_marker(tmp_path: Path) -> None:
    mine, other = DirectoryEncryption(tmp_path), DirectoryEncryption(tmp_path)
    assert not mine.encrypts
    other.write_marker(Marker("encrypting", KEY.id, "file"))
    assert mine.encrypts
    other.write_marker(Marker("decrypting", KEY.id, "file"))
    assert mine.marker == Marker("decrypting", KEY.id, "file")
    assert not mine.encrypts
    other.remove_marker()
    assert mine.marker is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"state": "encrypted"}', b"[]", b"\x00" * 40])
def test_a_damaged_marker_is_never_taken_for_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MARKER).write_bytes(content)
    with pytest.raises(StorageError, match="sediment-mcp key restore"):
        _ = DirectoryEncryption(tmp_path).marker


def test_a_marker_of_unknown_words_is_refused(tmp_path: Path) -> None:
    encryption = DirectoryEncryption(tmp_path)
    encryption.write_marker(Marker("sealed", KEY.id, "file"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(StorageError, match="is damaged"):
        _ = encryption.marker


def test_a_marker_that_cannot_be_read_is_never_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / MARKER).mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        _ = DirectoryEncryption(tmp_path).marker


@pytest.mark.parametrize("missing", ["sqlcipher3", "cryptography"])
def test_a_server_without_the_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    store_key("file", KEY)
    encryption = DirectoryEncryption(tmp_path)
    encryption.write_marker(Marker("encrypted", KEY.id, "file"))

    def find(name: str) -> str | None:
        return None if name == missing else name

    monkeypatch.setattr("sediment_mcp.system.directory_encryption.find_spec", find)
    sentence = refusal(encryption.key)
    assert f"{missing} cannot be found here" in sentence
    assert 'pip install "sediment-mcp[encrypt]"' in sentence
    assert "sediment-mcp install" in sentence
