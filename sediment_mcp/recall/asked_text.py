"""Which part of a prompt is asked: what the user has written, not what they have pasted.

A pasted log or a file says little about what the user wants to know, and much that resembles something
stored. So code between fences, indented and quoted lines, lines of logs and traces, and addresses are left
out. Of a long text the beginning and the end are taken, where people say what they want.
"""

from __future__ import annotations

import re

from sediment_mcp.indexes.characters import UNSPACED

MIN_WORDS = 4  # in what is asked; "yes, go on" asks nothing
MAX_READ_CHARS = 20_000  # at the beginning of a prompt and at its end; the rest is pasted
MAX_ASKED_CHARS = 600  # about half of what the model reads, so that no part drowns in the other
CHARACTERS_OF_A_WORD = 2  # in scripts without spaces

_COMMAND = re.compile(r"\s*(?:/[\w:.-]+(?:\s|$)|!)")
_FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[^\n]*$|\Z)", re.MULTILINE | re.DOTALL)
_PASTED_LINE = re.compile(
    r"(?: {4}|\t|\s*>|\s*\$ |[ \t]*at \S+\(|[ \t]*File \"|Traceback |Caused by: |[+-]{3} |@@ "
    r"|\W{0,3}\d{2,4}[-:/.]\d\d[-:/.]\d\d"
    r"|\[?(?:DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL|TRACE)\b)"
)
_MARKED_UP = re.compile(r"<(/?)([A-Za-z][\w-]{0,40})[^<>\n]{0,200}>")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://\S+", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_QUESTION = re.compile(r"[\uff1f\u061f]|\?(?=[\s\"')?*]|$)")  # `a?.b` and `(?:` ask nothing


def select_asked(prompt: str) -> str:
    """Return what a prompt asks, in at most `MAX_ASKED_CHARS` characters.

    Empty if it asks nothing: a command of the host, or fewer than `MIN_WORDS` words of the user's own.
    """
    if _COMMAND.match(prompt):
        return ""
    own = _remove_pasted(_take_ends(prompt, 2 * MAX_READ_CHARS, "\n"))
    return _take_ends(own, MAX_ASKED_CHARS, " ") if count_words(own) >= MIN_WORDS else ""


def has_question(asked: str) -> bool:
    """Return whether a text asks a question, rather than only ordering something."""
    return _QUESTION.search(asked) is not None


def count_words(text: str) -> int:
    """Return the number of words; in scripts without spaces two characters count as one."""
    count = 0
    for word in _WORD.findall(text):
        unspaced = len(_UNSPACED.findall(word))
        count += -(-unspaced // CHARACTERS_OF_A_WORD) + (unspaced < len(word))
    return count


def _remove_pasted(text: str) -> str:
    lines = _FENCED.sub("\n", text).splitlines()
    own = " ".join(line.strip() for line in lines if not _PASTED_LINE.match(line))
    return " ".join(_ADDRESS.sub(" ", _MARKED_UP.sub(" ", own)).split())


def _take_ends(text: str, max_chars: int, border: str) -> str:
    """Return a text, or its beginning and its end, each cut at ``border`` where that is near."""
    if len(text) <= max_chars:
        return text
    half = max_chars // 2 - 1
    head, tail = text[:half], text[-half:]
    head = head[: head.rfind(border)] if head.rfind(border) > half // 2 else head
    tail = tail[tail.find(border) + 1 :] if -1 < tail.find(border) < half // 2 else tail
    return f"{head}{border}{tail}"
