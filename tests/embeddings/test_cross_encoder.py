"""A real cross-encoder, made here: it is loaded without network or noise, and what is none is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.cross_encoder_folder import make_cross_encoder
from support.host import Host
from support.model_folder import WEIGHTS, make_folder

from sediment_mcp.config import Config
from sediment_mcp.embeddings.reranker import PairScorer, Reranker, load_scorer
from sediment_mcp.errors import ModelUnavailable
from sediment_mcp.maintenance.doctor import examine

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.sentence_transformers]

TEXTS = ["The cat sleeps.", "Release on Friday 🚀", "", "long " * 400, "half a pair \ud83e"]
OTHERWISE = r"or unset SEDIMENT_RERANKER to do without\.$"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cross_encoder(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def scorer(folder: Path) -> PairScorer:
    return load(folder)


def load(folder: Path) -> PairScorer:
    return load_scorer(Config(folder, reranker=str(folder)))


def test_each_text_has_a_score_between_0_and_1_that_depends_on_the_query(scorer: PairScorer) -> None:
    scores = scorer.score("when do we ship?", TEXTS)
    assert len(set(scores)) == len(TEXTS)
    assert all(0 < score < 1 for score in scores)
    assert scorer.score("who is asleep?", TEXTS) != pytest.approx(scores)


def test_a_score_does_not_depend_on_the_other_texts(scorer: PairScorer) -> None:
    alone = [scorer.score("when?", [text])[0] for text in TEXTS]
    assert scorer.score("when?", TEXTS) == pytest.approx(alone, abs=1e-5)


def test_it_is_loaded_without_noise(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(folder).score("when?", TEXTS)
    assert capfd.readouterr() == ("", "")


def test_a_model_of_another_kind_would_order_at_random_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=f"is no cross-encoder but a BertModel: .*{OTHERWISE}"):
        load(make_folder(tmp_path / "embedding", {}))


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=f"cannot score a text .*{OTHERWISE}"):
        load(make_cross_encoder(tmp_path / "classes", labels=3))


def test_a_folder_that_is_missing_or_damaged_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=f"there is no such folder: .*{OTHERWISE}"):
        load(tmp_path / "none")
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    (damaged / WEIGHTS).write_bytes(b"not tensors")
    with pytest.raises(ModelUnavailable, match=f"damaged cannot be loaded .*{OTHERWISE}"):
        load(damaged)


def test_weights_that_are_a_pickle_are_refused(folder: Path, tmp_path: Path) -> None:
    pickled = shutil.copytree(folder, tmp_path / "pickled")
    (pickled / WEIGHTS).rename(pickled / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match=r"a pickle, .*set SEDIMENT_RERANKER=pickle:"):
        load(pickled)


def test_the_doctor_says_whether_it_can_be_used(folder: Path, tmp_path: Path) -> None:
    def examined(reranker: str) -> tuple[str, str]:
        config = Config(tmp_path / "data", model="none", reranker=reranker)
        (finding,) = (one for one in examine(config) if one.name == "reranker")
        return finding.state, finding.sentence

    assert examined(str(folder)) == ("ok", f"{folder} loads and scores.")
    assert examined(str(tmp_path / "none"))[0] == "problem"


def test_results_come_in_its_order(scorer: PairScorer, tmp_path: Path) -> None:
    host = Host(tmp_path, model=None, reranker=Reranker(lambda: scorer, 60, clock=lambda: 0.0))
    texts = [
        "The kitchen is green.", "Who left the kitchen?", "A kitchen in Graz, 12 square metres.",
        "kitchen: tiles, sink, oven", "We cook in the kitchen on Fridays, at 18:00.",
    ]  # fmt: skip
    for text in texts:
        host.store(text)
    scores = dict(zip(texts, scorer.score("kitchen", texts), strict=True))
    results = host.query("kitchen")["results"]
    assert [one["content"] for one in results] == sorted(texts, key=lambda text: -scores[text])
    assert [one["signals"]["reranker"] for one in results] == pytest.approx(
        sorted(scores.values(), reverse=True), abs=1e-3
    )
