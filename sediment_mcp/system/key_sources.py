"""Keep the key of a data directory: in the keychain, a private file, or by a command.

The keychain is the first choice, since all hosts of a user reach it and none has the key in its settings.
"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any, Literal, cast

from sediment_mcp.config_paths import default_config_dir
from sediment_mcp.errors import BadArgument, KeyUnavailable
from sediment_mcp.system.data_key import DataKey, parse_recovery_code
from sediment_mcp.system.files import write_atomically

KeySource = Literal["keychain", "file", "command"]
KEYCHAIN_SERVICE = "sediment-mcp"
COMMAND_TIMEOUT = 60.0  # seconds; a person may have to confirm


def load_key(source: KeySource, key_id: str, command: str) -> DataKey:
    """Return the key with this id.

    Raises:
        KeyUnavailable: the source does not have it, or has another one.
    """
    try:
        key = parse_recovery_code(_READERS[source](key_id, command))
    except (OSError, ValueError, BadArgument, subprocess.SubprocessError) as error:
        raise KeyUnavailable(
            f"The memories are encrypted, and their key cannot be read from the {source}: "
            "give the recovery code to `sediment-mcp key restore`."
        ) from error
    if key.id != key_id:
        raise KeyUnavailable(
            f"The memories are encrypted, and the {source} has another key: "
            "give the recovery code to `sediment-mcp key restore`."
        )
    return key


def get_key_file(key_id: str) -> Path:
    """Return the path of a key's file, which is outside of all data directories."""
    return default_config_dir() / "keys" / key_id


def store_key(source: KeySource, key: DataKey) -> None:
    """Keep a key in the keychain or in its file.

    Raises:
        OSError: the file cannot be written.
    """
    if source == "keychain":
        _load_keyring().set_password(KEYCHAIN_SERVICE, key.id, key.recovery_code)
    elif source == "file":
        path = get_key_file(key.id)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, f"{key.recovery_code}\n".encode())


def _read_keychain(key_id: str, command: str) -> str:
    return str(_load_keyring().get_password(KEYCHAIN_SERVICE, key_id) or "")


def _read_file(key_id: str, command: str) -> str:
    return get_key_file(key_id).read_text("utf-8")


def _run_command(key_id: str, command: str) -> str:
    ran = subprocess.run(  # noqa: S603  the user's own command, from the user's own settings
        shlex.split(command), capture_output=True, check=True, text=True, timeout=COMMAND_TIMEOUT,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return ran.stdout


_READERS = {"keychain": _read_keychain, "file": _read_file, "command": _run_command}


def _load_keyring() -> Any:
    import keyring

    return cast("Any", keyring)
