"""The names of arguments: those that hosts add to a call, and what a misspelt one meant.

Hosts put names of their own into every call; a model that did not write them cannot leave them out.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HOST_NAMES = frozenset(
    {
        # ids of the conversation and of the call: n8n, LangChain, OpenAI's and Anthropic's clients
        "toolcallid", "tooluseid", "callid", "requestid", "messageid", "conversationid", "threadid", "chatid",
        "runid", "traceid", "spanid", "correlationid", "invocationid", "progresstoken", "chatinput", "action",
        "tool", "toolname", "toolcall", "turnid", "taskid", "stepid", "executionid", "workflowid", "nodeid",
        "itemindex", "workspaceid", "clientid", "xsessionid", "runmanager", "signal",
        # how the call is to be carried out: Gemini CLI, Windsurf, Cline, OpenHands
        "waitforprevious", "waitforprevioustools", "taskprogress", "requiresapproval", "requiresconfirmation",
        "safetoautorun", "securityrisk", "isbackground", "timeoutms",
        # why the model makes it: Cursor, Copilot, Windsurf, Antigravity
        "explanation", "reason", "reasoning", "rationale", "justification", "thought", "thoughts", "thinking",
        "thoughtsignature", "goal", "intent", "userintent", "purpose", "toolsummary", "toolaction",
        "tooltitle",
    }
)  # fmt: skip
"""Names that hosts are known to add to every call, in small letters and without separators."""
SESSION_ID = re.compile(r"sessionI[dD]")  # in this spelling a host's; "session_id" may be meant for `session`
SYNONYMS: Mapping[str, Sequence[str]] = {
    "content": ("text", "memory", "note", "fact", "message", "body", "data", "value", "observation"),
    "query": ("text", "q", "question", "search", "term", "terms", "keywords", "prompt"),
    "kind": ("type", "category", "memorytype"),
    "tags": ("label", "labels", "keywords", "topics"),
    "limit": ("n", "k", "topk", "count", "max", "maxresults", "num", "size", "pagesize", "numresults"),
    "since": ("from", "after", "start", "startdate", "startsat"),
    "until": ("to", "before", "end", "enddate"),
    "ids": ("memoryid", "memoryids", "uuid", "identifier"),
    "occurred_at": ("date", "time", "timestamp", "datetime", "when", "createdat"),
    "expires_at": ("ttl", "expiry", "expiration"),
    "replaces": ("supersedes", "replace", "updates", "corrects"),
    "cursor": ("page", "offset", "nextcursor", "nextpage", "pagetoken"),
    "order": ("sort", "sortby", "orderby", "sortorder"),
    "permanent": ("force", "hard", "erase"),
    "scope": ("project", "global", "namespace"),
    "session": ("conversation", "thread"),
    "importance": ("priority", "weight", "score"),
    "metadata": ("meta", "attributes", "properties", "extra"),
    "include_superseded": ("history", "superseded", "all"),
    "max_chars": ("maxtokens", "budget", "maxlength"),
}
"""Parameter → what other servers call such a one, in small letters and without separators."""
MIN_LIKENESS = 0.6  # of `difflib`, from which on a name is taken for a misspelt parameter


def find_host_names(names: Iterable[str], parameters: Iterable[str]) -> list[str]:
    """Return those of the names that are no parameters, and that a host has added."""
    known = set(parameters)
    return [name for name in names if name not in known and _is_of_host(name)]


def _is_of_host(name: str) -> bool:
    return name.startswith("_") or _fold(name) in HOST_NAMES or SESSION_ID.fullmatch(name) is not None


def find_nearest(name: str, parameters: Iterable[str]) -> str | None:
    """Return the parameter that a name resembles, or is a usual word for."""
    folded = {_fold(parameter): parameter for parameter in parameters}
    wanted = _fold(name)
    for parameter in folded.values():
        if wanted in SYNONYMS.get(parameter, ()):
            return parameter
    parts = [key for key in folded if key in wanted and len(key) > 2]
    near = parts or difflib.get_close_matches(wanted[:100], folded, n=1, cutoff=MIN_LIKENESS)
    return folded[max(near, key=len)] if near else None


def explain_unknown(name: str, shown: str, parameters: Mapping[str, Any]) -> str:
    """Return why an unknown name is refused: the nearest parameter, and all there are.

    ``shown`` is the name in the form in which a message may repeat it.
    """
    nearest = find_nearest(name, parameters)
    known = ", ".join(parameters)
    if nearest is None:
        return f"{shown} is not a parameter: use {known}."
    return f"{shown} is not a parameter: did you mean {nearest}? There are {known}."


def _fold(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
