"""The results of maintenance, as typed dictionaries, in the form of `operations.results`."""

# Annotations are evaluated here, so that each type knows which of its fields are required.

from typing import NotRequired, TypedDict


class ReindexResult(TypedDict):
    """How many of the ``passages`` are ``embedded`` by ``model``, if there is one."""

    model: NotRequired[str]
    passages: int
    embedded: int


class RestorePreview(TypedDict):
    """What a backup holds, and what going back to it would mean.

    ``returning`` memories come back, ``leaving`` go to the trash, ``changing`` get back the attributes that
    they had then. These are absent where the present database is damaged and cannot be compared.
    ``staying_erased`` memories were erased for good on all synchronized devices, and do not come back.
    """

    backup: str
    memories: int
    newest: NotRequired[str]
    returning: NotRequired[int]
    leaving: NotRequired[int]
    changing: NotRequired[int]
    staying_erased: NotRequired[int]


class RestoreResult(RestorePreview):
    """What was restored; ``kept`` names the backup or file that has the state before, if any."""

    kept: NotRequired[str]


class SalvageResult(TypedDict):
    """Memories that were read from a damaged database, and those that were not.

    ``from_backup`` came from the backup named ``backup``; ``lost`` are known to be missing. The text of the
    ``doubtful`` ones does not agree with its hash, or they were on pages of an encrypted file that are
    damaged. ``is_complete`` says whether the list of all memories could be read, so that none can be missing
    unnoticed. ``kept`` names the file in which the damaged database is kept.
    """

    read: int
    from_backup: int
    backup: NotRequired[str]
    lost: int
    doubtful: int
    is_complete: bool
    kept: str
