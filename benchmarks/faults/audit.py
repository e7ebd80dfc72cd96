"""A look at everything while nobody writes: every memory in every process, the database, and the files."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from .backend import Backend
from .checker import Checker, Known
from .slot import Common, Slot

TOGETHER = 5  # ids in one question
REMOVED = 40  # of the latest removed memories, asked for in each process
SETTLED = 90.0  # seconds until the background, which looks once a minute, must have done its work


def audit(common: Common, backend: Backend, slots: Sequence[Slot]) -> None:
    """Let every slot look at everything. Nobody may be writing."""
    for future in [slot.job(lambda slot: slot.started()) for slot in slots]:
        future.result(60)
    _wait_for_embeddings(common, backend, slots)
    common.history.add("settled", value=True)
    for future in [slot.job(_look_at_everything) for slot in slots]:
        future.result(600)
    common.history.add("settled", value=False)
    for half in backend.find_halves():
        common.history.complain("half", half)
    _wait_for_erasure(common, backend)


def _look_at_everything(slot: Slot) -> None:
    checker, chance = slot.common.history.checker, random.Random(slot.number)
    slot.list_everything()
    with slot.common.history.lock:
        there = [
            known.word for known in checker.known.values() if known.store.happened and not known.gone(False)
        ]
        there = [word for word in there if checker.known[word].expires is None]
        history = [word for word, known in checker.known.items() if _is_history(known)][-REMOVED:]
        removed = [word for word, known in checker.known.items() if known.removals or known.expires][
            -REMOVED:
        ]
    chance.shuffle(there)
    for start in range(0, len(there), TOGETHER):
        slot.look("ids", there[start : start + TOGETHER])
    for word in there:
        slot.look("words", [word])
        slot.look("meaning", [word])
    for word in removed:
        slot.look("words", [word])
        slot.look("meaning", [word])
    for word in history:
        slot.look("history", [word])


def _is_history(known: Known) -> bool:
    return bool(known.removals) and all(one.kind == "replaced" for one in known.removals)


def _wait_for_embeddings(common: Common, backend: Backend, slots: Sequence[Slot]) -> None:
    """Until every live passage has an embedding and token vectors."""
    if not (common.model and common.history.checker.known):
        return
    limit = time.monotonic() + SETTLED
    while True:
        with backend.read() as session:
            embedded, total = session.embeddings.count_embedded(1)
            have = min(embedded, session.token_vectors.count_embedded(1)[0])
        if have == total:
            return
        if time.monotonic() > limit:
            common.history.complain(
                "wrong", f"{total - have} passages are not embedded after {SETTLED:.0f} s"
            )
            return
        slots[0].job(lambda slot: slot.look("meaning", list(slot.common.history.checker.live)[:1])).result(60)
        time.sleep(0.05)


def erased(checker: Checker) -> Iterator[str]:
    """The words of which nothing may be left."""
    for known in checker.known.values():
        if any(one.kind == "erased" and one.change.happened for one in known.removals):
            yield known.word


def _wait_for_erasure(common: Common, backend: Backend) -> None:
    """Wait until no word of an erased memory is anywhere."""
    limit = time.monotonic() + SETTLED
    words = list(erased(common.history.checker))
    while left := backend.find_words(words):
        if time.monotonic() > limit:
            for word, places in list(left.items())[:3]:
                common.history.complain("zombie", f"the erased word {word} is still in {sorted(places)}")
            return
        time.sleep(0.2)
