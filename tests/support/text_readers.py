"""How each function of the package that takes a text is given one: as it is, in a list, in a file."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from sediment_mcp.config import Config
from sediment_mcp.errors import SedimentError
from support.word_pieces import load_word_pieces

Reader = Callable[[Callable[..., Any], str], object]
TURN_FORMATS = (
    "chatgpt_export",
    "claude_code",
    "claude_export",
    "codex",
    "copilot",
    "cursor",
    "gemini_cli",
)
FILE_NAMES = ("a.md", "a.json", "a.csv", "a.txt")


def read_text(name: str, text: str) -> None:
    """Give a text to a function of `READERS`, and read what it yields to its end."""
    try:
        found = READERS[name](resolve(name), text)
        if isinstance(found, Iterator):
            for _ in found:
                pass
    except (SedimentError, ValueError):
        pass


def resolve(name: str) -> Any:
    """Return what stands under ``module.function`` or ``module.Class.method``."""
    module, _, attribute = name.rpartition(".")
    owner = (
        resolve(module)
        if module.rpartition(".")[2][:1].isupper()
        else import_module(f"sediment_mcp.{module}")
    )
    return getattr(owner, attribute)


def to_bytes(text: str) -> bytes:
    return text.encode(errors="replace")


def plainly(call: Callable[..., Any], text: str) -> object:
    return call(text)


def with_more(*more: Any, **named: Any) -> Reader:
    return lambda call, text: call(text, *more, **named)


def as_bytes(call: Callable[..., Any], text: str) -> object:
    return call(to_bytes(text))


def in_list(*more: Any, times: int = 1) -> Reader:
    return lambda call, text: call([text] * times, *more)


def beside_another(*more: Any) -> Reader:
    """Call a function with the text and with another that is not far from it."""
    return lambda call, text: call(text, "x" + text[1:-1], *more)


def as_source(call: Callable[..., Any], text: str) -> None:
    from sediment_mcp.transfer.source import ReadLimits, wrap_bytes

    for name in FILE_NAMES:
        try:
            found = call(wrap_bytes(to_bytes(text), name), ReadLimits())
            if isinstance(found, Iterator):
                for _ in found:
                    pass
        except SedimentError:
            pass


def as_turns(call: Callable[..., Any], text: str) -> None:
    """Give a text to a reader of conversations: as a file, and within each place of a message."""
    from sediment_mcp.transfer.source import ReadLimits, wrap_bytes
    from sediment_mcp.transfer.turns import build_items

    block = [{"type": "text", "text": text}]
    claude = {"type": "user", "uuid": text, "sessionId": text, "cwd": text, "timestamp": text}
    message = {"id": text, "author": {"role": "user"}, "content": {"parts": [text]}}
    documents: tuple[Any, ...] = (
        {**claude, "message": {"content": block}},
        {"timestamp": text, "type": "response_item",
         "payload": {"type": "message", "role": "user", "content": block}},
        {"role": "user", "message": {"content": block}},
        {"type": "user.message", "id": text, "data": {"content": text}},
        {"sessionId": text, "projectHash": "", "messages": [{"id": text, "type": "user", "content": text}]},
        [{"uuid": text, "chat_messages": [{"sender": "human", "text": text, "uuid": text}]}],
        [{"mapping": {"a": {"message": message, "parent": text}}, "current_node": "a"}],
    )  # fmt: skip
    for name in ("a.jsonl", "a.json"):
        for data in (to_bytes(text), *(json.dumps(document).encode() for document in documents)):
            for _ in build_items(call(wrap_bytes(data, name), ReadLimits()), "answers"):
                pass


def as_rules(call: Callable[..., Any], text: str) -> None:
    for _ in call(Path("CLAUDE.md"), "CLAUDE.md", text, {}, None):
        pass


def as_argument(tool: str, **more: Any) -> Reader:
    def run(call: Callable[..., Any], text: str) -> None:
        call(getattr(import_module("sediment_mcp.operations.arguments"), tool), {**more, "content": text})

    return run


def as_arguments(call: Callable[..., Any], text: str) -> None:
    arguments = import_module("sediment_mcp.operations.arguments")
    for tool in ("StoreMemory", "QueryMemory", "ListMemories", "DeleteMemory"):
        model = getattr(arguments, tool)
        with contextlib.suppress(SedimentError):
            call(model, dict.fromkeys(model.parameters, text))


def feed_lines(call: Callable[..., Any], text: str) -> None:
    from sediment_mcp.server.jsonrpc import LineSplitter

    data, splitter = to_bytes(text), LineSplitter()
    for start in range(0, len(data), 512):
        list(call(splitter, data[start : start + 512]))
    list(splitter.finish())


def in_document(*more: Any) -> Reader:
    def run(call: Callable[..., Any], text: str) -> object:
        comment = text.replace("\n", " ")
        return call('{"servers": {"a": ' + json.dumps(text) + "}, // " + comment + '\n "b": [1,],}', *more)

    return run


def as_wrapped_arguments(call: Callable[..., Any], text: str) -> object:
    from sediment_mcp.operations.arguments import StoreMemory

    return call(StoreMemory, {"arguments": text})


def as_parameter_name(call: Callable[..., Any], text: str) -> object:
    return call(text, ("query", "limit", "project"))


def as_wording(call: Callable[..., Any], text: str) -> object:
    from sediment_mcp.search.phrase_match import read_wording

    return [
        call([text], read_wording(query), [9], 9) for query in (text, text[:200], f'"{text[:1]}" a1.b2.c3')
    ]


def within_itself(call: Callable[..., Any], text: str) -> object:
    return [call(text, text[:length]) for length in (1, 2, 3, 12, 50) if text[:length].strip()]


def as_memory(call: Callable[..., Any], text: str) -> object:
    memory = {
        "id": "a", "content": text, "tags": [text], "session": text, "project": text,
        "metadata": {"a": [text]}, "occurred_at": "2026",
    }  # fmt: skip
    return call([memory])


def as_hook_input(call: Callable[..., Any], text: str) -> object:
    fields = {"session_id": text, "cwd": text, "prompt": text, "workspace_roots": [text]}
    return [call("prompt", "cursor", None, to_bytes(given)) for given in (text, json.dumps(fields))]


def as_hook_output(call: Callable[..., Any], text: str) -> object:
    from sediment_mcp.recall.hook_call import build_call

    return call(build_call("prompt", "cursor", Config(Path()), b"{}"), text)


def as_imported_memory(call: Callable[..., Any], text: str) -> object:
    return call("line 1", text, tags=[text], metadata={text[:50]: text}, session=text)


def as_git_files(call: Callable[..., Any], text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        git = Path(directory, ".git")
        (git / "logs").mkdir(parents=True)
        (git / "logs" / "HEAD").write_bytes(to_bytes(text))
        config = f'[core]\n{text}\n[remote "origin"]\n\turl = {text.replace(chr(10), "")}\n'
        (git / "config").write_bytes(to_bytes(config))
        call(Path(directory))


def with_instructions(call: Callable[..., Any], text: str) -> object:
    from sediment_mcp.hosts import agent_instructions

    block = f"{text}\n{agent_instructions.BEGIN}\n{text}\n{agent_instructions.END}\n{text}"
    return call(block, agent_instructions.INSTRUCTIONS_FILES["cursor"])


def in_word_pieces(*more: object) -> Reader:
    """Call a method of the default model's word pieces."""
    return lambda call, text: call(load_word_pieces(), text, *more)


TODAY = date(2026, 5, 8)

_GIVEN_PLAINLY = """
cli.values.decode_argument
domain.chunking.estimate_word_pieces domain.chunking.split_into_chunks
domain.duplicates.compute_content_hash domain.duplicates.compute_exact_hash domain.duplicates.fold_text
domain.entities.extract_entities
domain.prompt_injection.has_prompt_injection
domain.tags.clean_tag domain.tags.fold_tag domain.turn_text.strip_turn
embeddings.readability.is_plain_english embeddings.runtime.replace_surrogates
hosts.agent_instructions.get_block_state hosts.config_file.detect_line_break hosts.hook_file.is_own_hook
hosts.config_file.holds_token hosts.config_file.mask_tokens
hosts.jsonc.parse hosts.launch_command.strip_version
indexes.analyzer.analyze_chunk indexes.analyzer.extract_terms indexes.analyzer.split_into_tokens
indexes.analyzer.tokenize_chunk indexes.characters.fold_case indexes.characters.normalize
indexes.query_analysis.analyze_query indexes.query_analysis.extract_query_terms
indexes.query_analysis.find_quotations
operations.argument_values.is_nothing
operations.argument_values.parse_id operations.argument_values.parse_ids
operations.argument_values.parse_number operations.argument_values.parse_object
operations.argument_values.parse_tags operations.argument_values.parse_text
operations.argument_values.split_list
recall.asked_text.count_words recall.asked_text.has_question recall.asked_text.select_asked
recall.wording.flatten
search.date_phrases.read_tokens search.phrase_match.fold_text search.phrase_match.read_wording
search.query_tense.is_about_present search.query_tense.remove_present_words
search.candidates.is_question search.time_questions.asks_when search.time_questions.names_time
search.versions.states_change server.bridge.encode_header
storage.sql.fields.dump_json
storage.postgres.adapters.escape_nul storage.postgres.adapters.unescape_nul
system.data_key.parse_recovery_code system.project_root.parse_file_uri
system.text.compose_accents system.text.count_invisible system.text.escape_invisible
system.text.format_value system.text.has_many_marks system.text.reveal_invisible
system.text.show_control_characters
system.text.to_json system.text.valid_text
system.timestamps.parse_iso
transfer.formats.lists.is_dated_list transfer.formats.lists.is_plain_list transfer.formats.lists.is_table
transfer.formats.markdown.make_file_name
transfer.json_text.looks_like_json transfer.json_text.parse_json transfer.json_text.repair
transfer.json_text.split_values
transfer.conversations.iterate_list transfer.detect.match_transcript
transfer.formats.chatgpt_export.is_head transfer.formats.claude_export.is_head
transfer.formats.gemini_cli.is_head transfer.turns.digest
transfer.normalize.normalize_session transfer.normalize.parse_time transfer.normalize.split_tags
server.http.settings.parse_metrics_address server.http.settings.parse_public_url
"""

READERS: dict[str, Reader] = dict.fromkeys(_GIVEN_PLAINLY.split(), plainly) | {
    "config.find_zone": plainly,
    "config.parse_model": with_more("--model", may_be_relative=True),
    "config.parse_tenant": with_more("--team"),
    "config_paths.parse_path": with_more("--data-dir", may_be_relative=True),
    "config_paths.refuse_unfinished": with_more("--data-dir"),
    "config_paths.parse_project": with_more("--project", may_be_relative=True),
    "config_access.parse_audience": with_more("--oidc-audience"),
    "config_access.parse_claim": with_more("--oidc-team-claim"),
    "config_access.parse_issuer": with_more("--oidc-issuer"),
    "domain.access_token.is_token": plainly,
    "domain.chunking.split_text": with_more(2_000),
    "domain.duplicates.is_same_text": beside_another(),
    "domain.language.is_english": plainly,
    "domain.near_duplicates.is_near_duplicate": beside_another(0.99),
    "domain.secrets.find_secret_kinds": in_list(),
    "domain.tags.unique_tags": in_list(),
    "embeddings.word_pieces.WordPieces.find_tokens": in_word_pieces(),
    "embeddings.word_pieces.WordPieces.tokenize_ascii": in_word_pieces(254),
    "hosts.agent_instructions.put_block": with_instructions,
    "hosts.agent_instructions.take_block": with_instructions,
    "hosts.jsonc.put_member": in_document(("servers", "x"), 1),
    "hosts.jsonc.remove_member": in_document(("b",)),
    "operations.argument_names.find_nearest": as_parameter_name,
    "operations.arguments.parse_arguments": as_arguments,
    "operations.arguments.unwrap_arguments": as_wrapped_arguments,
    "operations.content_notes.note_contents": as_memory,
    "operations.content_notes.note_texts": lambda call, text: call([("a", [text])]),
    "recall.envelopes.wrap_text": as_hook_output,
    "recall.hook_call.build_call": as_hook_input,
    "recall.hook_call.parse_fields": as_bytes,
    "recall.wording.can_be_shown": lambda call, text: call(text, [text]),
    "recall.wording.render_memory": lambda call, text: [call("a", text, "new", most) for most in (99, 10**9)],
    "search.late_interaction.weigh_query_tokens": lambda call, text: call(
        text,
        np.ones((3, 64), np.float32),
        np.array([[0, 1], [len(text) // 2, len(text) // 2 + 1], [0, 0]]),
        {},
    ),
    "search.phrase_match.measure_string": within_itself,
    "search.phrase_match.score_phrases": as_wording,
    "search.query_dates.find_periods": with_more(TODAY),
    "search.query_dates.read_dates": with_more(datetime(2026, 5, 8, tzinfo=UTC)),
    "search.ranking.read_asking": lambda call, text: call(text, project=None, now=datetime.now(UTC)),
    "search.snippets.select_snippets": lambda call, text: call([(text, None)] * 3, 8_000),
    "server.client_zone.find_client_zone": lambda call, text: call({text: text, "a": {"timezone": text}}),
    "server.jsonrpc.LineSplitter.feed": feed_lines,
    "server.jsonrpc.decode": as_bytes,
    "server.jsonrpc.find_id": as_bytes,
    "system.encodings.decode_text": as_bytes,
    "system.encodings.detect_encoding": as_bytes,
    "system.encodings.find_byte_order_mark": as_bytes,
    "system.git_repository.read_history": as_git_files,
    "system.legacy_encodings.guess_encoding": lambda call, text: call(
        (text + "é").encode("cp1252", "replace")
    ),
    "system.text.normalize_unicode": lambda call, text: [call(form, text) for form in ("NFC", "NFD", "NFKC")],
    "domain.captured.remove_tag": in_list(),
    "transfer.detect.detect_format": as_source,
    "transfer.json_lines.read_lines": as_source,
    "transfer.turns.join_blocks": in_list(times=3),
    "transfer.encryption.is_encrypted": as_bytes,
    "transfer.formats.front_matter.compose_front_matter": lambda call, text: call({"tags": [text]}, ""),
    "transfer.formats.front_matter.load_yaml": plainly,
    "transfer.formats.front_matter.split_front_matter": lambda call, text: call(f"---\n{text}\n---\n{text}"),
    **{f"transfer.formats.{name}.read_turns": as_turns for name in TURN_FORMATS},
    "transfer.formats.claude_projects.read": as_source,
    "transfer.formats.rules.read_rules": as_rules,
    "transfer.formats.lists.read": as_source,
    "transfer.formats.mcp_memory_service.read": as_source,
    "transfer.formats.mem0.read": as_source,
    "transfer.formats.notes.read": as_source,
    "transfer.formats.sediment_jsonl.read": as_source,
    "transfer.formats.server_memory.read": as_source,
    "transfer.normalize.normalize_memory": as_imported_memory,
    "web.text_diff.diff_texts": beside_another(),
}
"""Function → how a text is given to it."""
