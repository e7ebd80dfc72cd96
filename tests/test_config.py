"""Configuration: what wins, what is refused, where the data lie."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from sediment_mcp.config import (
    DATA_DIR,
    DEFAULT_MODEL,
    LOG_LEVEL,
    LOG_LEVELS,
    MODEL,
    NO_MODEL,
    PROJECT,
    VARIABLES,
    default_data_dir,
    load_config,
    unknown_variables,
)
from sediment_mcp.errors import BadArgument


def test_without_any_setting_everything_has_a_default():
    config = load_config({})
    assert config.data_dir == default_data_dir()
    assert (config.project, config.model, config.log_level) == (None, DEFAULT_MODEL, "INFO")


def test_the_environment_is_read(tmp_path):
    given = {DATA_DIR: str(tmp_path), PROJECT: "/code", MODEL: NO_MODEL, LOG_LEVEL: "DEBUG"}
    config = load_config(given)
    assert (config.data_dir, config.project, config.model, config.log_level) == (
        tmp_path,
        "/code",
        NO_MODEL,
        "DEBUG",
    )


def test_a_flag_wins_over_the_environment_and_an_absent_flag_does_not():
    given = {PROJECT: "/environment", MODEL: "environment"}
    config = load_config(given, {PROJECT: "/flag", MODEL: None})
    assert (config.project, config.model) == ("/flag", "environment")


def test_an_empty_project_means_none_and_an_absent_one_means_find_out():
    assert load_config({PROJECT: ""}).project == ""
    assert load_config({}).project is None
    assert load_config({PROJECT: "/code"}, {PROJECT: ""}).project == ""


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_model_or_folder_is_the_default(blank):
    config = load_config({MODEL: blank, DATA_DIR: blank})
    assert (config.model, config.data_dir) == (DEFAULT_MODEL, default_data_dir())


@pytest.mark.parametrize("level", LOG_LEVELS)
def test_a_log_level_is_known_in_any_case(level):
    assert load_config({LOG_LEVEL: level.lower()}).log_level == level


def test_an_unknown_log_level_is_refused_with_those_that_exist():
    with pytest.raises(BadArgument) as refusal:
        load_config({LOG_LEVEL: "loud"})
    assert all(word in str(refusal.value) for word in (LOG_LEVEL, "LOUD", *LOG_LEVELS))


def test_the_data_directory_is_absolute_and_a_tilde_is_home(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    assert load_config({DATA_DIR: "here"}).data_dir == Path.cwd() / "here"
    assert load_config({DATA_DIR: "~/memories"}).data_dir == tmp_path / "home" / "memories"


def test_the_default_data_directory_is_absolute_and_outside_appdata():
    assert default_data_dir().is_absolute()
    assert default_data_dir().name in ("sediment-mcp", ".sediment-mcp")
    assert "AppData" not in default_data_dir().parts


def test_on_windows_the_data_lie_in_the_home_directory(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert default_data_dir() == Path.home() / ".sediment-mcp"


def test_a_configuration_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_config({}).model = "other"  # type: ignore[misc]


def test_other_variables_do_not_matter():
    assert load_config({"HOME": "/x", "SEDIMENT_MODLE": "y"}) == load_config({})


def test_a_typing_error_in_a_variable_s_name_is_noticed():
    (warning,) = unknown_variables({"SEDIMENT_MODLE": "x", "PATH": "y", MODEL: "z"})
    assert "SEDIMENT_MODLE" in warning
    assert f"did you mean {MODEL}?" in warning


def test_a_variable_like_no_other_is_answered_with_all_that_exist():
    (warning,) = unknown_variables({"SEDIMENT_XYZZY_QQQ_42": "x"})
    assert all(name in warning for name in VARIABLES)


def test_known_variables_need_no_warning():
    assert unknown_variables(dict.fromkeys(VARIABLES, "x")) == []
