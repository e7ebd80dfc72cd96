"""Configuration: what wins, what is refused, where the data lie."""

from __future__ import annotations

import dataclasses
import os
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
    RERANKER,
    TEAM,
    TENANT,
    VARIABLES,
    load_config,
    unknown_variables,
)
from sediment_mcp.config_paths import default_data_dir
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


def test_the_settings_of_a_team_s_store_are_those_of_its_tenant(tmp_path):
    config = load_config({DATA_DIR: str(tmp_path), TENANT: "anna", TEAM: "crew", MODEL: NO_MODEL})
    assert config.store_dir == tmp_path / "tenants" / "anna"
    team = config.of_team
    assert (team.store_dir, team.model, team.of_team) == (tmp_path / "tenants" / "crew", NO_MODEL, None)
    assert load_config({TENANT: "anna"}).of_team is None
    assert dataclasses.replace(team, team="crew").of_team is None, "its own memories are no second store"


@pytest.mark.parametrize("given", [{TENANT: "crew", TEAM: "crew"}, {TEAM: "default"}])
def test_a_team_is_another_tenant_than_one_s_own(given):
    with pytest.raises(BadArgument, match=r"SEDIMENT_TEAM is .* your own already: name the team's tenant"):
        load_config(given)


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


@pytest.mark.parametrize("value", ["", " ", "none", "None"])
def test_results_are_not_reranked_unless_a_cross_encoder_is_named(value):
    assert load_config({}).reranker == load_config({RERANKER: value}).reranker == NO_MODEL
    assert load_config({RERANKER: "someone/reranker"}).reranker == "someone/reranker"


def test_the_folder_of_a_reranker_is_absolute_and_must_be_meant(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_config({}, {RERANKER: "./mine"}).reranker == str(Path.cwd() / "mine")
    with pytest.raises(BadArgument, match=RERANKER):
        load_config({RERANKER: "${MODELS}/mine"})


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
    assert load_config({}, {DATA_DIR: "here"}).data_dir == Path.cwd() / "here"
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


# --- paths that nobody has finished ---------------------------------------------------------------

UNFINISHED = [
    "${HOME}/mem",
    "$HOME/mem",
    "$env:APPDATA/mem",
    "$(pwd)/mem",
    "%APPDATA%\\mem",
    "/data/${workspaceFolder}/mem",
    "{{user_home}}/mem",
    "{home}/mem",
    "<path to your memories>",
    "~/${NAME}",
    "${HOME/mem",
    "/data/$(whoami/mem",
    "/data/!USERNAME!/mem",
    '"/tmp/mem"',
    "'/tmp/mem'",
    '/tmp/mem"',
    "file:///tmp/mem",
]


@pytest.mark.parametrize("value", UNFINISHED)
def test_a_path_that_nobody_has_finished_is_refused_wherever_it_stands(value):
    for variable in (DATA_DIR, PROJECT):
        if value.startswith("file:") and variable == PROJECT:
            continue
        for environment, flags in (({variable: value}, {}), ({}, {variable: value})):
            with pytest.raises(BadArgument) as refusal:
                load_config(environment, flags)
            assert value in str(refusal.value)
            assert (variable in str(refusal.value)) == bool(environment)
            assert "write" in str(refusal.value)


@pytest.mark.parametrize("value", ["${MODEL}", "$MODEL", "%MODEL%", '"org/model"', "{{model}}"])
def test_a_model_that_nobody_has_filled_in_is_refused(value):
    with pytest.raises(BadArgument, match=MODEL):
        load_config({MODEL: value})


@pytest.mark.parametrize("value", ["none", "None", "NONE", " none "])
def test_no_model_is_known_in_any_case(value):
    assert load_config({MODEL: value}).model == "none"


def test_a_uri_of_a_project_may_hold_escaped_letters_but_no_placeholder():
    assert load_config({PROJECT: "FILE:///work/caf%C3%A9"}).project == "file:///work/caf%C3%A9"
    assert load_config({PROJECT: "https://example.com/team/app"}).project == "https://example.com/team/app"
    for value in ("file:///work/${name}", "file:///work/%24%7Bname%7D"):
        with pytest.raises(BadArgument, match="name"):
            load_config({PROJECT: value})


@pytest.mark.parametrize(
    "name", ["${HOME}", "$x", "%a%b", "{{x}}", "<x>", 'a"', "100% mine", "it's", "a%20b", "$5"]
)
def test_a_folder_that_exists_is_taken_by_its_very_name(tmp_path, name):
    (tmp_path / name).mkdir()
    assert load_config({DATA_DIR: str(tmp_path / name)}).data_dir == tmp_path / name


@pytest.mark.parametrize("name", ["100% mine", "it's", "a%20b", "$5", "50%/60%", 'the "old" one', "x#y?z"])
def test_signs_that_stand_for_nothing_are_part_of_a_name(tmp_path, name):
    assert load_config({DATA_DIR: str(tmp_path / name)}).data_dir == tmp_path / name


def test_what_a_folder_here_is_called_does_not_finish_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "$HOME").mkdir()
    with pytest.raises(BadArgument):
        load_config({}, {DATA_DIR: "$HOME"})
    assert load_config({}, {DATA_DIR: "./$HOME"}).data_dir == tmp_path / "$HOME"


@pytest.mark.parametrize("value", ["mem", "./mem", "../mem", ".", "a/b"])
def test_a_relative_data_directory_is_for_those_who_type(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config({}, {DATA_DIR: value}).data_dir == tmp_path / value
    for environment, flags in (({DATA_DIR: value}, {}), ({}, {DATA_DIR: value})):
        with pytest.raises(BadArgument, match="absolute path"):
            load_config(environment, flags, are_flags_typed=False)


def test_a_word_is_a_project_s_name_unless_a_folder_here_is_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    assert load_config({PROJECT: "shop"}).project == "shop"
    assert load_config({}, {PROJECT: "shop"}).project == str(tmp_path / "shop")
    assert load_config({}, {PROJECT: "store"}).project == "store"
    assert load_config({}, {PROJECT: "../shop"}).project == str(tmp_path / "../shop")
    with pytest.raises(BadArgument, match="absolute path"):
        load_config({PROJECT: "work/shop"})


@pytest.mark.skipif(sys.platform == "win32", reason="those are paths there")
@pytest.mark.parametrize("value", ["C:\\Users\\Ann\\mem", "c:/mem", "\\\\server\\share"])
def test_a_path_of_windows_is_refused_elsewhere(value):
    with pytest.raises(BadArgument, match="Windows"):
        load_config({}, {DATA_DIR: value})


def test_a_user_without_a_home_directory_is_refused():
    with pytest.raises(BadArgument, match="~nobody-of-this-name"):
        load_config({DATA_DIR: "~nobody-of-this-name/mem"})


def test_a_folder_of_a_model_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config({}, {MODEL: "./model"}).model == str(tmp_path / "model")
    assert load_config({MODEL: "org/model"}).model == "org/model"
    with pytest.raises(BadArgument, match=MODEL):
        load_config({MODEL: "./model"})


# --- without a home directory -------------------------------------------------------------------


@pytest.fixture
def nobody(monkeypatch):
    """No HOME, and no entry in the list of users."""
    pwd = pytest.importorskip("pwd")

    def find_nothing(_):
        raise KeyError

    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", find_nothing)


def test_without_a_home_directory_a_sentence_says_what_to_set(nobody, tmp_path):
    for given in ({}, {DATA_DIR: "~/mem"}, {DATA_DIR: "~"}):
        with pytest.raises(BadArgument, match="absolute path"):
            load_config(given)
    assert load_config({DATA_DIR: str(tmp_path)}).data_dir == tmp_path


def test_without_a_home_directory_that_of_the_data_counts(nobody, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert load_config({}).data_dir.is_relative_to(tmp_path) or sys.platform == "darwin"


@pytest.mark.skipif(sys.platform == "win32", reason="HOME says nothing there")
@pytest.mark.parametrize("home", ["", "relative", "$HOME"])
def test_a_home_that_is_no_absolute_path_counts_as_none(home, monkeypatch):
    pwd = pytest.importorskip("pwd")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", home)
    assert default_data_dir().is_relative_to(pwd.getpwuid(os.getuid()).pw_dir)


def test_a_working_directory_that_is_gone_is_said(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    if sys.platform == "win32":
        pytest.skip("the working directory cannot be removed there")
    gone.rmdir()
    with pytest.raises(BadArgument, match="gone"):
        load_config({}, {DATA_DIR: "mem"})
    assert load_config({}, {DATA_DIR: "/mem"}).data_dir == Path("/mem")
