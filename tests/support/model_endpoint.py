"""A model for real hosts: an HTTP endpoint on this machine that calls the tools it is told to call.

It speaks what hosts speak with their models (Anthropic's Messages, OpenAI's Responses and Chat Completions,
Google's generateContent), keeps every request, and answers by a script: the number of tool results in a
request says which step comes next. A request without our tools, such as one for a title, gets a word.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SILENT = "ok"


@dataclass(frozen=True)
class ToolCall:
    """A call of one of our tools."""

    name: str
    arguments: dict[str, Any]


Step = ToolCall | str


@dataclass
class ModelEndpoint:
    """The endpoint; use it as a context manager."""

    script: Sequence[Step]
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def __enter__(self) -> ModelEndpoint:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                endpoint.requests.append({"path": self.path, "body": body})
                kind, chunks = endpoint.answer(self.path, body)
                data = "".join(chunks).encode()
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                data = json.dumps({"data": [], "models": [], "object": "list"}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def conversation(self) -> list[dict[str, Any]]:
        """The bodies of the requests that offer our tools, in order."""
        bodies = [request["body"] for request in self.requests]
        return [body for body in bodies if find_tool(body, "store_memory")]

    def answer(self, path: str, body: dict[str, Any]) -> tuple[str, Iterator[str]]:
        """Return the type and the parts of the answer to a request."""
        step = self._next_step(body)
        if "/messages" in path:
            return _stream(_anthropic(step, body)) if body.get("stream") else _plain({"content": []})
        if "/responses" in path:
            return _stream(_responses(step, body))
        if "/chat/completions" in path:
            return _stream(_chat(step, body))
        if "streamGenerateContent" in path:
            return _stream(_gemini(step, body))
        if "countTokens" in path or "count_tokens" in path:
            return _plain({"totalTokens": 10, "input_tokens": 10})
        return _plain(next(_gemini(step, body))[1])

    def _next_step(self, body: dict[str, Any]) -> Step:
        if not find_tool(body, "store_memory"):
            return SILENT
        done = count_results(body)
        return self.script[done] if done < len(self.script) else SILENT


def _stream(events: Iterator[tuple[str, Any]]) -> tuple[str, Iterator[str]]:
    return "text/event-stream", (
        (f"event: {name}\n" if name else "")
        + f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"
        for name, data in events
    )


def _plain(value: Any) -> tuple[str, Iterator[str]]:
    return "application/json", iter([json.dumps(value)])


# --- what a request holds -------------------------------------------------------------------------


def list_tools(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the tools that a request offers by their names, with the namespace of each."""
    found: dict[str, dict[str, Any]] = {}
    for tool in body.get("tools") or []:
        inner = tool.get("functionDeclarations") or tool.get("tools") or [tool.get("function", tool)]
        for one in inner:
            space = tool.get("name", "") if tool.get("type") == "namespace" else ""
            found[space + one.get("name", "")] = {**one, "namespace": space}
    return found


def find_tool(body: dict[str, Any], name: str) -> tuple[str, dict[str, Any]] | None:
    """Return a tool of ours under the name that the host gives it."""
    return next(((full, tool) for full, tool in list_tools(body).items() if full.endswith(name)), None)


def list_results(value: Any) -> list[Any]:
    """Return the results of tools anywhere in a request, in order."""
    if isinstance(value, list):
        return [result for item in value for result in list_results(item)]
    if not isinstance(value, dict):
        return []
    is_result = (
        value.get("type") in ("tool_result", "function_call_output")
        or value.get("role") == "tool"
        or "functionResponse" in value
    )
    return [value] if is_result else [result for item in value.values() for result in list_results(item)]


def count_results(body: dict[str, Any]) -> int:
    """Return how many results of tools a request holds."""
    return len(list_results([body.get(name) for name in ("messages", "input", "contents")]))


# --- the four protocols ---------------------------------------------------------------------------


def _call(step: ToolCall, body: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    found = find_tool(body, step.name)
    assert found is not None
    return found[0], found[1], step.arguments


def _anthropic(step: Step, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": body.get("model", "m"), "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    yield "message_start", {"type": "message_start", "message": message}
    if isinstance(step, ToolCall):
        name, _, arguments = _call(step, body)
        block = {"type": "tool_use", "id": f"toolu_{count_results(body)}", "name": name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
    else:
        block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": step}
    yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": block}
    yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    reason = "tool_use" if isinstance(step, ToolCall) else "end_turn"
    end = {"stop_reason": reason, "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}}
    yield "message_stop", {"type": "message_stop"}


def _responses(step: Step, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    response: dict[str, Any] = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
    yield "response.created", {"type": "response.created", "response": response}
    if isinstance(step, ToolCall):
        name, tool, arguments = _call(step, body)
        item: dict[str, Any] = {
            "type": "function_call", "id": "fc_1", "call_id": f"call_{count_results(body)}",
            "name": name.removeprefix(tool["namespace"]), "arguments": json.dumps(arguments),
        }  # fmt: skip
        if tool["namespace"]:
            item["namespace"] = tool["namespace"]
    else:
        content = [{"type": "output_text", "text": step, "annotations": []}]
        item = {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": content,
        }
    yield "response.output_item.done", {"type": "response.output_item.done", "output_index": 0, "item": item}
    usage = {
        "input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
        "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
    }  # fmt: skip
    done = {**response, "status": "completed", "output": [item], "usage": usage}
    yield "response.completed", {"type": "response.completed", "response": done}


def _chat(step: Step, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    def chunk(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {
            "id": "c1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }

    if isinstance(step, ToolCall):
        name, _, arguments = _call(step, body)
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"index": 0, "id": f"call_{count_results(body)}", "type": "function", "function": function}
        yield "", chunk({"role": "assistant", "tool_calls": [call]}, None)
        yield "", chunk({}, "tool_calls")
    else:
        yield "", chunk({"role": "assistant", "content": step}, None)
        yield "", chunk({}, "stop")
    yield "", "[DONE]"


def _gemini(step: Step, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(step, ToolCall):
        name, _, arguments = _call(step, body)
        part: dict[str, Any] = {"functionCall": {"name": name, "args": arguments}}
    else:
        part = {"text": step}
    content = {"role": "model", "parts": [part]}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    yield (
        "",
        {"candidates": [{"index": 0, "content": content, "finishReason": "STOP"}], "usageMetadata": usage},
    )
