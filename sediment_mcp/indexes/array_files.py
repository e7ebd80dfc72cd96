"""Files that hold one array each, and the record that names them: as they are, or encrypted.

A plain file is in NumPy's ``.npy`` format. What its header must be is known from the record, so it is
compared instead of parsed, and mapping a file takes the same time whatever its size. An encrypted one holds
the array alone, and is read into the memory of the process.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sediment_mcp.errors import DamagedFile
from sediment_mcp.system.directory_encryption import is_encrypted
from sediment_mcp.system.files import read_record, write_record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.system.directory_encryption import DirectoryEncryption

    Shape = tuple[int, ...]
    GetShape = Callable[[], Shape]
    RecordType = np.dtype[Any]
    Parts = Iterable[NDArray[Any]]

TEMPORARY = ".tmp"


class ArrayFiles(Protocol):
    """Writes and reads files of one kind."""

    def write(self, path: Path, record_type: RecordType, parts: Parts, get_shape: GetShape) -> None:
        """Write an array given in parts along its first axis; its shape is known after the last.

        The caller publishes the file.

        Raises:
            OSError or StorageError: it cannot be written.
        """
        ...

    def load(self, path: Path, record_type: RecordType, shape: Shape) -> NDArray[Any]:
        """Return the array of this type and shape that a file holds.

        Raises:
            OSError: it cannot be read.
            ValueError: it is a file of something else, or of another length.
        """
        ...

    def write_record(self, path: Path, record: dict[str, Any]) -> None:
        """Replace a small record in one step."""
        ...

    def read_record(self, path: Path) -> dict[str, Any]:
        """Return a record.

        Raises:
            OSError: it cannot be read.
            ValueError: it is damaged, or of the other kind.
        """
        ...


class PlainArrayFiles:
    """Files that are mapped, so that all processes share them."""

    def write(self, path: Path, record_type: RecordType, parts: Parts, get_shape: GetShape) -> None:
        """Write an array; see `ArrayFiles`."""
        with path.open("wb") as file:
            file.write(build_header(record_type, get_shape()))
            for part in parts:
                file.write(part.data)
            file.seek(0)
            file.write(build_header(record_type, get_shape()))

    def load(self, path: Path, record_type: RecordType, shape: Shape) -> NDArray[Any]:
        """Map a file; see `ArrayFiles`."""
        header = build_header(record_type, shape)
        with path.open("rb") as file:
            if file.read(len(header)) != header:
                raise ValueError(f"{path.name} does not hold what the pointer says")
            size = file.seek(0, io.SEEK_END) - len(header)
            if size != record_type.itemsize * int(np.prod(shape)):
                raise ValueError(f"{path.name} has lost a part")
            if not size:  # nothing cannot be mapped
                return np.empty(shape, record_type)
            mapped = np.memmap(file, record_type, mode="r", offset=len(header), shape=shape)
            return mapped.view(np.ndarray)  # each slice of a memmap costs microseconds more

    def write_record(self, path: Path, record: dict[str, Any]) -> None:
        """Replace a record; see `ArrayFiles`."""
        write_record(path, record)

    def read_record(self, path: Path) -> dict[str, Any]:
        """Return a record; see `ArrayFiles`."""
        return read_record(path)


class EncryptedArrayFiles:
    """Files that are encrypted; each process has arrays of its own."""

    def __init__(self, encryption: DirectoryEncryption) -> None:
        self._encryption = encryption

    def write(self, path: Path, record_type: RecordType, parts: Parts, get_shape: GetShape) -> None:
        """Write an array; see `ArrayFiles`."""
        from sediment_mcp.system.encrypted_file import EncryptedWriter  # for those who encrypt

        del record_type, get_shape  # the record that names the file says what it holds
        with path.open("wb") as file:
            writer = EncryptedWriter(file, self._encryption, _get_final_name(path))
            for part in parts:
                writer.write(view_bytes(part))
            writer.finish()

    def load(self, path: Path, record_type: RecordType, shape: Shape) -> NDArray[Any]:
        """Read a file; see `ArrayFiles`."""
        from sediment_mcp.system.encrypted_file import EncryptedReader

        array = np.empty(shape, record_type)
        try:
            with path.open("rb") as file:
                reader = EncryptedReader(file, self._encryption, _get_final_name(path))
                reader.read_into(view_bytes(array))
                reader.finish()
        except DamagedFile as error:
            raise ValueError(str(error)) from error
        return array

    def write_record(self, path: Path, record: dict[str, Any]) -> None:
        """Replace a record; see `ArrayFiles`."""
        write_record(path, record, self._encryption)

    def read_record(self, path: Path) -> dict[str, Any]:
        """Return a record; see `ArrayFiles`."""
        if not is_encrypted(path):
            raise ValueError(f"{path.name} is not encrypted")
        return read_record(path, self._encryption)


def build_header(record_type: RecordType, shape: Shape) -> bytes:
    """Return the header of a ``.npy`` file; its length does not depend on the first axis."""
    header = {
        "descr": np.lib.format.dtype_to_descr(record_type), "fortran_order": False, "shape": shape,
    }  # fmt: skip
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def view_bytes(array: NDArray[Any]) -> memoryview:
    """Return the bytes of an array; to write into them, it must be contiguous."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def get_temporary_path(path: Path) -> Path:
    """Return the path under which a file is written before it is renamed."""
    return path.with_name(f"{path.name}{TEMPORARY}")


def _get_final_name(path: Path) -> str:
    """Return the name that a file has, or will have: it is part of what is encrypted."""
    return path.name.removesuffix(TEMPORARY)
