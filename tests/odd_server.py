"""The real server whose tools do what the query says: the odd things a tool must be allowed to do.

Only the operation's body is replaced, in this process alone; everything in front of it is the real thing.
Run as a program, with one argument: a folder in which a file "go" lets held calls continue.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sediment_mcp.stdio import protect_stdout

protect_stdout()

from sediment_mcp import operations  # noqa: E402
from sediment_mcp.config import load_config  # noqa: E402
from sediment_mcp.errors import StorageError  # noqa: E402
from sediment_mcp.server import serve  # noqa: E402

FOLDER = Path(sys.argv[1])


def answer(note: str) -> dict[str, Any]:
    return {"results": [], "mode": "lexical", "notes": [note]}


def hang() -> None:
    threading.Event().wait()


def hold() -> None:
    while not (FOLDER / "go").exists():
        time.sleep(0.005)
    (FOLDER / "done").touch()


def pollute() -> None:
    sys.__stdout__.write("polluted: original stdout\n")
    sys.__stdout__.flush()
    os.write(1, b"polluted: descriptor\n")
    subprocess.run([sys.executable, "-c", "print('polluted: child'); input()"], check=False)
    print("polluted: print")


def raise_panic() -> None:
    class Panic(BaseException):
        pass

    raise Panic("secret panic")


def query_memory(library: object, arguments: Any, project: str | None) -> dict[str, Any]:
    sys.stderr.write(f"working on {arguments.query}\n")
    sys.stderr.flush()
    match arguments.query:
        case "hang":
            hang()
        case "hold":
            hold()
        case "pollute":
            pollute()
        case "never close":
            type(library).close = lambda _: hang()  # type: ignore[attr-defined]
        case "fail":
            raise StorageError("The disk is upside down: turn it over.")
        case "break":
            raise ValueError("secret detail")
        case "panic":
            raise_panic()
        case "half":
            return answer("half a pair: \ud83d")
        case "nan":
            return answer("not a number") | {"extra": float("nan")}
        case "project":
            return answer(repr(project))
        case _:
            pass
    return answer(arguments.query)


operations.query_memory = query_memory  # type: ignore[assignment]

if __name__ == "__main__":
    raise SystemExit(serve(load_config(os.environ)))
