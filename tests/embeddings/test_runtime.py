"""What both runtimes share: which errors are the model's, fingerprints, clean text."""

from __future__ import annotations

import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from sediment_mcp.embeddings.runtime import compute_fingerprint, replace_surrogates, translate_failures
from sediment_mcp.errors import ModelFailed


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shape"), ValueError("range"), IndexError("no such token"), OSError(12, "memory"),
        MemoryError(), Exception("what tokenizers raises"), InvalidArgument("of onnxruntime"),
    ],
)  # fmt: skip
def test_what_a_runtime_raises_is_a_failure_of_the_model(error: Exception) -> None:
    with pytest.raises(ModelFailed, match=type(error).__name__) as caught, translate_failures("onnxruntime"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [TypeError, AttributeError, KeyError, KeyboardInterrupt])
def test_any_other_error_passes(error: type[BaseException]) -> None:
    with pytest.raises(error), translate_failures("onnxruntime"):
        raise error


def test_an_error_class_of_another_package_passes() -> None:
    with pytest.raises(InvalidArgument), translate_failures("torch"):
        raise InvalidArgument("of onnxruntime")


def test_any_part_that_differs_makes_another_fingerprint() -> None:
    parts = {"weights": "a", "max_tokens": 256, "prompts": {"query": "q: "}}
    others = [{**parts, "weights": "b"}, {**parts, "max_tokens": 128}, {**parts, "prompts": {}}]
    assert len({compute_fingerprint(**each) for each in [parts, *others]}) == 4
    assert compute_fingerprint(**dict(reversed(parts.items()))) == compute_fingerprint(**parts)


def test_lone_surrogates_become_question_marks() -> None:
    assert replace_surrogates("a \ud83d b \U0001f600") == "a ? b \U0001f600"
