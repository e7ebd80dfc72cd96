"""Values of options that several benchmarks take."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence


def numbers(text: str) -> list[int]:
    """Numbers with commas between them, in order and each once."""
    return sorted({int(number) for number in text.split(",")})


def parts_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """What reads the names of parts with commas between them, and refuses others than the known ones."""

    def read(text: str) -> list[str]:
        parts = text.split(",")
        if unknown := set(parts) - set(known):
            raise argparse.ArgumentTypeError(
                f"there is no part {', '.join(unknown)}, only {', '.join(known)}"
            )
        return parts

    return read
