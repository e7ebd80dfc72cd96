"""The real server whose tools do what the query says: the odd things a tool must be allowed to do.

Only the operation's body is replaced, in this process alone; everything in front of it is the real thing.
Run as a program, with one argument: a folder in which a file "go" lets held calls continue. With the name of
a fault as a second one, the operations are the real ones too, and the transport has that fault instead.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sediment_mcp.server.stdio import StdioTransport, protect_stdout

protect_stdout()

from sediment_mcp.config import load_config  # noqa: E402
from sediment_mcp.errors import StorageError  # noqa: E402
from sediment_mcp.operations import query_memory as operation  # noqa: E402
from sediment_mcp.server.jsonrpc import is_response  # noqa: E402
from sediment_mcp.server.run import serve  # noqa: E402

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


def query_memory(app: object, arguments: Any, project: str | None) -> dict[str, Any]:
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
            type(app).close = lambda _: hang()  # type: ignore[attr-defined]
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


# --- a transport that breaks its promises -------------------------------------------------------


def leak(answer: Any) -> None:
    answer["error"] = {"code": -32603, "message": f'Traceback: File "{__file__}"'}
    answer.pop("result", None)


def alter(answer: Any) -> None:
    """Change every memory in the answer."""
    for memory in answer.get("result", {}).get("structuredContent", {}).get("results", ()):
        memory["content"] += "!"
    result = answer.get("result", {})
    if "results" in result.get("structuredContent", {}):
        result["content"][0]["text"] = json.dumps(result["structuredContent"])


def inject(fault: str) -> None:
    """From now on the first call of a tool that works is answered wrongly, or with "alter" every one.

    That call is the one whose answer a client waits for before it sends more: later ones may be cancelled, or
    share their id with another request, and then an answer too few or too many is no fault.
    """
    put, count = StdioTransport._put, itertools.count()

    def faulty(self: StdioTransport, message: Any) -> None:
        has_worked = is_response(message) and "structuredContent" in message.get("result", {})
        match fault if fault == "alter" or (has_worked and next(count) == 0) else "":
            case "twice":
                put(self, message)
            case "swallow":
                return
            case "die":
                os._exit(3)
            case "chatter":
                os.write(self._pipes.output, b"hello\n")
            case "leak":
                leak(message)
            case "alter":
                alter(message)
            case _:
                pass
        put(self, message)

    StdioTransport._put = faulty  # type: ignore[method-assign]


if len(sys.argv) > 2:
    inject(sys.argv[2])
else:
    operation.query_memory = query_memory  # type: ignore[assignment]

if __name__ == "__main__":
    raise SystemExit(serve(load_config(os.environ)))
