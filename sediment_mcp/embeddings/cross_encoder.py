"""Score pairs of a query and a text by a cross-encoder of sentence-transformers.

A model is a folder, or a name on the Hugging Face hub, see `model_files`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder

from sediment_mcp.config import RERANKER
from sediment_mcp.embeddings.model_files import ALLOW_PICKLES, ModelFiles, take_first_line
from sediment_mcp.embeddings.runtime import replace_surrogates, translate_failures
from sediment_mcp.errors import ModelFailed, ModelUnavailable

OR_NONE = f"or unset {RERANKER} to do without."
FILES = ModelFiles(
    RERANKER, "cross-encoder", OR_NONE, "cross-encoder", CrossEncoder, fetched_first=("config.json",)
)  # fmt: skip
HEADS = ("ForSequenceClassification", "ForCausalLM")
"""What the class of a model that gives scores ends with."""


def load(name: str) -> CrossEncoderModel:
    """Load a cross-encoder from a folder or, if there is no such folder, from the hub.

    Raises:
        ModelUnavailable: there is no such model, it cannot be fetched, or it gives no score of a pair.
    """
    model, name = FILES.open(name).model, name.removeprefix(ALLOW_PICKLES)
    _refuse_untrained_head(name, model)
    try:
        loaded = CrossEncoderModel(model)
        loaded.score("a question", ["an answer"])
    except Exception as error:  # anything may come out of a model's own code
        reason = take_first_line(error.__cause__ or error)
        raise ModelUnavailable(
            f"The reranker {name} cannot score a text ({reason}): choose a cross-encoder, which gives one "
            f"score for a query and a text, {OR_NONE}"
        ) from error
    return loaded


def _refuse_untrained_head(name: str, model: CrossEncoder) -> None:
    """Refuse a model of another kind.

    sentence-transformers would give it a head of random weights, without an error.
    """
    built: Any = model.model
    classes: list[str] = getattr(built.config, "architectures", None) or []
    if classes and not any(one.endswith(HEADS) for one in classes):
        raise ModelUnavailable(
            f"The reranker {name} is no cross-encoder but a {', '.join(classes)}: choose a cross-encoder, "
            f"which gives one score for a query and a text, {OR_NONE}"
        )


class CrossEncoderModel:
    """A loaded cross-encoder, used by one thread at a time."""

    def __init__(self, model: CrossEncoder) -> None:
        self._model = model

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers the query, 0 to 1.

        Raises:
            ModelFailed: the model fails on one of the texts, or gives something else than a number for each.
        """
        query = replace_surrogates(query)
        pairs = [(query, replace_surrogates(text)) for text in texts]
        with translate_failures("torch", "transformers", "sentence_transformers"):
            raw: Any = self._model.predict(
                pairs, batch_size=len(pairs), show_progress_bar=False, activation_fn=torch.nn.Sigmoid()
            )
        scores = np.asarray(raw, np.float64)
        if scores.shape != (len(texts),) or not np.isfinite(scores).all():
            raise ModelFailed(f"it gives {scores.shape[1:] or 'no finite number'} instead of one score")
        return scores.tolist()
