"""What is told of the synchronization, in the form of `operations.results`."""

# Annotations are evaluated here, so that each type knows which of its fields are required.

from typing import NotRequired, TypedDict


class DeviceStatus(TypedDict):
    """What is known of one device.

    Attributes:
        name: the name of its folder.
        is_own: whether it is this one.
        files: how many files its log has, and bytes those take.
        seen_at: its clock when it last wrote; absent where that cannot be read.
        version: of sediment-mcp, when it last wrote.
        waiting: how many of its files are not taken over here.
        waiting_seconds: how long the oldest of these has been waiting.
        reason: why its next file is not taken over.
        skew_seconds: how far its clock is ahead of ours at least, where that is more than minutes.
        ignored: names in its folder that are none of ours.
    """

    name: str
    is_own: bool
    files: int
    bytes: int
    seen_at: NotRequired[str]
    version: NotRequired[str]
    waiting: int
    waiting_seconds: NotRequired[int]
    reason: NotRequired[str]
    skew_seconds: NotRequired[int]
    ignored: NotRequired[list[str]]


class SyncStatus(TypedDict):
    """The state of the synchronization; ``problem`` says why the folder cannot be looked at."""

    folder: str
    device: str
    automatic: bool
    problem: NotRequired[str]
    devices: list[DeviceStatus]
    bytes: int
    ignored: NotRequired[list[str]]


class SharedProject(TypedDict):
    """A shared name, its project here (null: none), and how many memories belong to that."""

    name: str
    project: str | None
    memories: int
