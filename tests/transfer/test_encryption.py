"""An encrypted export opens with its passphrase alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.host import Host
from support.transferring import export, state, write_file

from sediment_mcp.errors import BadArgument
from sediment_mcp.transfer import encryption
from sediment_mcp.transfer.import_report import ImportReport
from sediment_mcp.transfer.importer import import_memories
from sediment_mcp.transfer.opening import open_items
from sediment_mcp.transfer.prepare import ImportOptions


def test_an_encrypted_export_opens_with_its_passphrase_alone(
    host: Host, open_host: Any, tmp_path: Path
) -> None:
    host.store("the port is 5432")
    data = export(host)
    encrypted = encryption.encrypt(data, "open sesame")
    assert encryption.is_encrypted(encrypted)
    assert b"5432" not in encrypted
    path = write_file(tmp_path, encrypted, "export.age")
    other = open_host(directory=tmp_path / "other")
    opened = open_items(path, None, lambda: "open sesame")
    import_memories(other.app, opened.items, ImportOptions(), ImportReport())
    assert state(other) == state(host)
    with pytest.raises(BadArgument, match="passphrase is wrong, or the file is damaged"):
        encryption.decrypt(encrypted, "sesame", "export.age")


def test_a_file_that_is_encrypted_for_a_key_is_refused() -> None:
    pyrage: Any = pytest.importorskip("pyrage")
    data = pyrage.encrypt(b"x", [pyrage.x25519.Identity.generate().to_public()])
    with pytest.raises(BadArgument, match="for a key"):
        encryption.decrypt(data, "any", "file")
