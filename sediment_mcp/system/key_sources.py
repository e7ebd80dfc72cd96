"""Keep the key of a data directory: in the keychain, a private file, or by a command.

The keychain is the first choice, since all hosts of a user reach it and none has the key in its settings.
What goes wrong is said in one sentence that fits the source; the key, and what a command printed, never are.
"""

from __future__ import annotations

import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, cast

from sediment_mcp.config_paths import default_config_dir
from sediment_mcp.errors import BadArgument, KeyUnavailable
from sediment_mcp.system.data_key import DataKey, parse_recovery_code
from sediment_mcp.system.files import PRIVATE_DIRECTORY, translate_os_errors, write_atomically

KeySource = Literal["keychain", "file", "command"]
KEYCHAIN_SERVICE = "sediment-mcp"
COMMAND_TIMEOUT = 60.0  # seconds; a person may have to confirm
OTHERS = stat.S_IRWXG | stat.S_IRWXO  # the bits of a mode that concern other users
ENCRYPTED = "The memories are encrypted, and"
RESTORE = "give the recovery code to `sediment-mcp key restore`"


def load_key(source: KeySource, key_id: str, command: str) -> DataKey:
    """Return the key with this id.

    Raises:
        KeyUnavailable: the source does not have it, or has another one.
    """
    text = _READERS[source](key_id, command)
    try:
        key = parse_recovery_code(text)
    except BadArgument:
        raise KeyUnavailable(
            f"{ENCRYPTED} what {describe_source(source, key_id)} gives is no recovery code: {RESTORE}."
        ) from None  # what was read stays out of the traceback
    if key.id != key_id:
        raise KeyUnavailable(
            f"{ENCRYPTED} {describe_source(source, key_id)} has the key of another directory: {RESTORE}."
        )
    return key


def read_command_key(command: str) -> DataKey:
    """Return the key whose recovery code the user's command prints, whatever its id.

    Raises:
        BadArgument: it prints no recovery code.
        KeyUnavailable: it fails.
    """
    try:
        return parse_recovery_code(_run_command("", command))
    except BadArgument:
        raise BadArgument(
            "The command of SEDIMENT_KEY_COMMAND prints no recovery code: let it print one that "
            "`sediment-mcp key new` has made."
        ) from None


def describe_source(source: KeySource, key_id: str) -> str:
    """Return where a key is, for a sentence."""
    if source == "file":
        return f"the key file {get_key_file(key_id)}"
    return f"the {source}" + (" of SEDIMENT_KEY_COMMAND" if source == "command" else "")


def choose_source(command: str) -> KeySource:
    """Return where a new key is kept: by the user's command, in the keychain, or in a file."""
    return "command" if command else "keychain" if has_keychain() else "file"


def has_keychain() -> bool:
    """Return whether the system has a keychain that can keep a key."""
    try:
        keyring = _load_keyring()
    except ModuleNotFoundError:
        return False
    try:
        return float(keyring.get_keyring().priority) > 0  # a backend that refuses everything has 0
    except Exception:  # noqa: BLE001  a backend's own code may raise anything
        return False


def get_key_file(key_id: str) -> Path:
    """Return the path of a key's file, which is outside of all data directories."""
    return default_config_dir() / "keys" / key_id


def keep_key(source: KeySource, key: DataKey, command: str) -> None:
    """Keep a key, and check that it comes back, before anything depends on it.

    Raises:
        KeyUnavailable: the keychain refuses it, or the command gives another one.
        StorageError: the file cannot be written.
    """
    store_key(source, key)
    load_key(source, key.id, command)


def store_key(source: KeySource, key: DataKey) -> None:
    """Keep a key in the keychain or in its file; a command has it already.

    Raises:
        KeyUnavailable: the keychain refuses it.
        StorageError: the file cannot be written.
    """
    if source == "keychain":
        try:
            _load_keyring().set_password(KEYCHAIN_SERVICE, key.id, key.recovery_code)
        except Exception as error:  # noqa: BLE001  a backend's own code may raise anything
            raise KeyUnavailable(_describe_keychain_problem(error, "cannot keep a key")) from None
    elif source == "file":
        path = get_key_file(key.id)
        with translate_os_errors("make it writable", f"The key file {path}"):
            path.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            write_atomically(path, f"{key.recovery_code}\n".encode())


# --- reading ----------------------------------------------------------------------------------------


def _read_keychain(key_id: str, command: str) -> str:
    try:
        found = _load_keyring().get_password(KEYCHAIN_SERVICE, key_id)
    except Exception as error:  # noqa: BLE001  a backend's own code may raise anything
        problem = _describe_keychain_problem(error, "cannot be read")
        raise KeyUnavailable(f"{ENCRYPTED} {problem[0].lower()}{problem[1:]}") from None
    if not found:
        raise KeyUnavailable(f"{ENCRYPTED} the keychain does not have their key: {RESTORE}.")
    return str(found)


def _describe_keychain_problem(error: Exception, what: str) -> str:
    """Return a sentence for an error of keyring, whose classes say what is the matter."""
    if isinstance(error, ModuleNotFoundError):
        return (
            "The keychain cannot be asked without keyring, which is not installed here: "
            'run pip install "sediment-mcp[encrypt]", or `sediment-mcp install` for a host that starts it.'
        )
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "NoKeyringError" in kinds:
        return f"This session has no keychain: log in to the desktop, or {RESTORE}."
    if "KeyringLocked" in kinds:
        return "The keychain is locked: unlock it and try again."
    return f"The keychain {what} ({type(error).__name__}): unlock it and try again, or {RESTORE}."


def _read_file(key_id: str, command: str) -> str:
    path = get_key_file(key_id)
    try:
        status = path.stat()
        if sys.platform != "win32" and status.st_mode & OTHERS:
            raise KeyUnavailable(
                f"{ENCRYPTED} other users may read or write the key file {path}: run chmod 600 on it."
            )
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise KeyUnavailable(f"{ENCRYPTED} the key file {path} is not there: {RESTORE}.") from None
    except UnicodeDecodeError:
        return ""  # which is no recovery code either
    except OSError as error:
        raise KeyUnavailable(
            f"{ENCRYPTED} the key file {path} cannot be read ({error.strerror}): make it readable."
        ) from None


def _run_command(key_id: str, command: str) -> str:
    """Return what the user's command prints, which is never shown or logged."""
    if not command:
        raise KeyUnavailable(
            f"{ENCRYPTED} SEDIMENT_KEY_COMMAND, which prints their key, is not set here: set it, or give it "
            "as --key-command to `sediment-mcp install` for a host."
        )
    try:
        ran = subprocess.run(  # noqa: S603  the user's own command, from the user's own settings
            command if sys.platform == "win32" else shlex.split(command), capture_output=True, check=False,
            timeout=COMMAND_TIMEOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its quotes do not match"
        raise KeyUnavailable(
            f"{ENCRYPTED} the command of SEDIMENT_KEY_COMMAND cannot be started ({reason}): correct it."
        ) from None
    except subprocess.TimeoutExpired:
        raise KeyUnavailable(
            f"{ENCRYPTED} the command of SEDIMENT_KEY_COMMAND did not end within {COMMAND_TIMEOUT:.0f} "
            "seconds: run it by hand."
        ) from None
    if ran.returncode:
        raise KeyUnavailable(
            f"{ENCRYPTED} the command of SEDIMENT_KEY_COMMAND failed with exit code {ran.returncode}: "
            "run it by hand."
        )
    return ran.stdout.decode("utf-8", "replace")


_READERS = {"keychain": _read_keychain, "file": _read_file, "command": _run_command}


def _load_keyring() -> Any:
    """Import keyring when it is first needed: it takes 0.1 s.

    Raises:
        ModuleNotFoundError: the extra is not installed.
    """
    import keyring

    return cast("Any", keyring)
