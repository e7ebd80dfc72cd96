"""Whether a text is in English."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain.language import is_english


@pytest.mark.parametrize(
    "text",
    [
        "The staging database is in Frankfurt.",
        "Deploys are not done on Fridays",
        "Use the café's Wi-Fi when you are in Zürich.",
        "I met Søren at the station",
    ],
)
def test_these_are_english(text: str) -> None:
    assert is_english(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "Die Staging-Datenbank ist nach Frankfurt umgezogen.",
        "La base de données est à Francfort.",
        "Los viernes no se despliega nada en producción.",
        "Il server di staging non è raggiungibile.",
        "Às sextas não se publica nada em produção.",
        "Op vrijdag wordt er niet uitgerold.",
        "ステージングのデータベースはフランクフルトにある。",
        "预发布环境的数据库在法兰克福。",
        "По пятницам в продакшен ничего не выкатываем.",
        "스테이징 데이터베이스는 프랑크푸르트에 있다.",
        "يوم الجمعة لا ننشر شيئا",
    ],
)
def test_these_are_not(text: str) -> None:
    assert is_english(text) is False


@pytest.mark.parametrize("text", ["", "max_retries=5", "npm ci", "42", "SELECT x", "🦊🚀"])
def test_of_code_numbers_and_emoji_it_does_not_show(text: str) -> None:
    assert is_english(text) is None


@given(st.text())
def test_any_text_can_be_asked_about(text: str) -> None:
    assert is_english(text) in (True, False, None)
