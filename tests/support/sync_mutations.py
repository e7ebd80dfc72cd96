"""Faults put into the synchronization on purpose: each must be noticed by the histories of a few seeds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

MUTATIONS: dict[str, Callable[[], AbstractContextManager[object]]] = {}
