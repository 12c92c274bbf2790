"""Where settings come from, which wins, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from iskra.problems import SettingsProblem
from iskra.settings import Settings, load, variables
from pipeline.agents.core.options import AgentOptions
from pipeline.runtime.options import KafkaOptions, RuntimeOptions
from pipeline.scoring.rules import ScoreRules
from pipeline.settings import KafkaSettings, RuntimeSettings, ScoringSettings

KEY = "scoring.idle_timeout_s"


def findings(directory: Path, environ: dict[str, str] | None = None, config: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsProblem) as caught:
        load(config=config, environ=environ or {}, directory=directory)
    return caught.value.findings


def test_without_any_source_every_value_is_the_one_its_package_defines(tmp_path: Path) -> None:
    settings = load(environ={}, directory=tmp_path).settings
    assert settings == Settings()
    assert settings.scoring.rules() == ScoreRules()
    assert settings.kafka.options() == KafkaOptions()
    assert settings.runtime.options() == RuntimeOptions()
    assert settings.agent == AgentOptions()


SOURCES = ("iskra.toml", ".env", ".env.staging", "env", "option")
"""Weakest first."""


@pytest.mark.parametrize("strongest", range(len(SOURCES)), ids=SOURCES)
def test_the_strongest_source_wins_and_is_named_as_the_origin(tmp_path: Path, strongest: int) -> None:
    seconds = {name: float(place + 1) for place, name in enumerate(SOURCES)}
    given = SOURCES[: strongest + 1]
    environ = {"ISKRA_ENV": "staging"}
    options = {}
    (tmp_path / "iskra.toml").write_text(f"[scoring]\nidle_timeout_s = {seconds['iskra.toml']}\n")
    for name in (".env", ".env.staging"):
        if name in given:
            (tmp_path / name).write_text(f"ISKRA_SCORING__IDLE_TIMEOUT_S={seconds[name]}\nPATH=/nowhere\n")
    if "env" in given:
        environ["ISKRA_SCORING__IDLE_TIMEOUT_S"] = str(seconds["env"])
    if "option" in given:
        options = {"scoring": {"idle_timeout_s": seconds["option"]}}
    loaded = load(options, environ=environ, directory=tmp_path)
    assert (loaded.settings.scoring.idle_timeout_s, loaded.origins[KEY]) == (
        seconds[SOURCES[strongest]],
        SOURCES[strongest],
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("iskra.toml", '[kafka]\nbootstrap = "k:1"\n[scoring]\nseam_weights = { a = 2.0 }\n'),
        ("iskra.yaml", "kafka:\n  bootstrap: k:1\nscoring:\n  seam_weights:\n    a: 2.0\n"),
        ("iskra.yml", "kafka: {bootstrap: 'k:1'}\nscoring: {seam_weights: {a: 2.0}}\n"),
        ("iskra.json", '{"kafka": {"bootstrap": "k:1"}, "scoring": {"seam_weights": {"a": 2.0}}}'),
    ],
)
def test_toml_yaml_and_json_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    loaded = load(environ={}, directory=tmp_path)
    assert (loaded.settings.kafka.bootstrap, loaded.settings.scoring.seam_weights) == ("k:1", {"a": 2.0})
    assert loaded.origins == {"kafka.bootstrap": name, "scoring.seam_weights": name}


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("iskra.yaml", "kafka: &a {bootstrap: 'k:1'}\n", "anchors and aliases are not used here"),
        ("iskra.yaml", "scoring:\n  emit: all\n  emit: voices\n", "a key stands twice"),
        ("iskra.yaml", "scoring: !!python/object:os.system {}\n", "tags are not used here"),
        ("iskra.yaml", "- a\n", "must be a table of settings"),
        ("iskra.json", '{"scoring": {"emit": "all", "emit": "voices"}}', "a key stands twice"),
        ("iskra.json", '{"scoring": {"pane_s": NaN}}', "NaN is no number of JSON"),
        ("iskra.json", '{"scoring": {"pane_s": 1e999}}', "a number is too large"),
        ("iskra.json", "[" * 100_000, "nested too deeply"),
        ("iskra.toml", "[scoring\n", "cannot be read"),
        ("iskra.toml", "scoring = 3\n", "scoring is a section, not a value"),
        ("iskra.toml", "[scoring]\nemitt = 'all'\n", "scoring.emitt is no setting; did you mean scoring.emit?"),
    ],
)
def test_a_broken_or_wrong_file_is_one_finding(tmp_path: Path, name: str, text: str, finding: str) -> None:
    (tmp_path / name).write_text(text)
    (only,) = findings(tmp_path)
    assert finding in only
    assert name in only


def test_two_candidate_files_in_one_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "iskra.toml").touch()
    (tmp_path / "iskra.json").write_text("{}")
    assert findings(tmp_path) == (f"{tmp_path}: iskra.toml and iskra.json are both there; keep one",)


def test_a_named_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert findings(tmp_path, config=tmp_path / "x.toml") == (
        f"{tmp_path / 'x.toml'}: there is no such file of settings",
    )
    assert findings(tmp_path, {"ISKRA_CONFIG": str(tmp_path / "y.toml")}) == (
        f"{tmp_path / 'y.toml'}: there is no such file of settings",
    )


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("ISKRA_KAFKA__BOOTSTRAPS", "ISKRA_KAFKA__BOOTSTRAP"),
        ("ISKRA_SCORING__EMITS", "ISKRA_SCORING__EMIT"),
        ("ISKRA_ALERTS__SLACK__TOKENFILE", "ISKRA_ALERTS__SLACK__TOKEN_FILE"),
    ],
)
def test_an_unknown_variable_is_refused_and_the_nearest_named(tmp_path: Path, variable: str, near: str) -> None:
    assert findings(tmp_path, {variable: "x"}) == (f"environment: {variable} is no setting; did you mean {near}?",)


def test_an_unknown_variable_of_the_agent_is_refused(tmp_path: Path) -> None:
    (only,) = findings(tmp_path, {"ISKRA_AGENT__HEARTBEAT__INTERVALL_MS": "5"})
    assert "ISKRA_AGENT__HEARTBEAT__INTERVALL_MS" in only


def test_an_empty_variable_counts_as_absent(tmp_path: Path) -> None:
    environ = {"ISKRA_SCORING__PANE_S": "", "ISKRA_KAFKA__BOOTSTRAP": "", "ISKRA_AGENT__HEARTBEAT__MISSES": ""}
    assert load(environ=environ, directory=tmp_path).settings == Settings()


def test_variables_that_say_where_to_look_are_no_settings(tmp_path: Path) -> None:
    environ = {"ISKRA_ENV": "", "ISKRA_REQUIRE": "java", "ISKRA_TEST_PROFILE": "ci", "OTHER": "1"}
    assert load(environ=environ, directory=tmp_path).origins == {}


@pytest.mark.parametrize(
    ("environ", "finding"),
    [
        ({"ISKRA_SCORING__EMIT": "canary"}, "env: scoring.emit: Input should be 'changed', 'all' or 'voices'"),
        ({"ISKRA_SCORING__PANE_S": "nan"}, "env: scoring.pane_s: "),
        ({"ISKRA_RUNTIME__CHECKPOINT_MS": "0"}, "env: runtime.checkpoint_ms: "),
        ({"ISKRA_KAFKA__TOPIC_PREFIX": "a b"}, "env: kafka.topic_prefix: "),
        ({"ISKRA_KAFKA__BOOTSTRAP": "canary"}, "env: kafka.bootstrap: "),
        (
            {"ISKRA_SCORING__VOICES__ALARM_CLEAR_PAIN": "0.9"},
            "env: scoring.voices: alarm_pain_above must be above alarm_clear_pain",
        ),
        ({"ISKRA_SCORING__SEAM_WEIGHTS": "{canary"}, "environment: ISKRA_SCORING__SEAM_WEIGHTS must be JSON"),
        ({"ISKRA_PROFILE": "canary"}, "env: profile: "),
        ({"ISKRA_ALERTS__SLACK__CHANNEL": "C1"}, "env: alerts.slack: slack needs both token and channel, or neither"),
        (
            {"ISKRA_KAFKA__SECURITY_PROTOCOL": "SASL_SSL"},
            "env: kafka: security_protocol SASL_SSL needs sasl_mechanism, sasl_username, sasl_password too",
        ),
        ({"ISKRA_KAFKA__SASL_MECHANISM": "PLAIN"}, "env: kafka: sasl_mechanism has no effect without"),
    ],
)
def test_a_bad_value_names_source_and_key_and_never_itself(
    tmp_path: Path, environ: dict[str, str], finding: str
) -> None:
    (only,) = findings(tmp_path, environ)
    assert only.startswith(finding)
    assert "canary" not in only


SASL = {
    "ISKRA_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
    "ISKRA_KAFKA__SASL_USERNAME": "u",
    "ISKRA_KAFKA__SASL_PASSWORD": "canary",
}


def test_sasl_without_tls_needs_a_second_word(tmp_path: Path) -> None:
    environ = {**SASL, "ISKRA_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT"}
    (only,) = findings(tmp_path, environ)
    assert "SASL without TLS" in only
    confirmed = load(environ={**environ, "ISKRA_KAFKA__ALLOW_PLAINTEXT": "true"}, directory=tmp_path).settings
    assert confirmed.kafka.options().sasl_password == "canary"


@pytest.mark.parametrize(
    ("bootstrap", "refused"),
    [("127.0.0.1:9092", False), ("localhost:1,127.0.0.2:2", False), ("kafka:9092", True), ("127.0.0.1:1,k:2", True)],
)
def test_plain_text_off_loopback_is_refused_in_production(tmp_path: Path, bootstrap: str, refused: bool) -> None:
    environ = {"ISKRA_ENV": "production", "ISKRA_KAFKA__BOOTSTRAP": bootstrap}
    if refused:
        (only,) = findings(tmp_path, environ)
        assert "plain text off loopback" in only
        load(environ={**environ, **SASL, "ISKRA_KAFKA__SECURITY_PROTOCOL": "SASL_SSL"}, directory=tmp_path)
    else:
        load(environ=environ, directory=tmp_path)


SECRETS = [name for name in variables() if name.endswith("_FILE") and not name.endswith("REGISTRY_FILE")]


def test_every_secret_can_stand_in_a_file() -> None:
    assert SECRETS == [
        "ISKRA_KAFKA__SASL_PASSWORD_FILE",
        "ISKRA_ALERTS__SLACK__TOKEN_FILE",
        "ISKRA_ALERTS__PAGERDUTY__ROUTING_KEY_FILE",
    ]


@pytest.mark.parametrize("ending", ["", "\n"])
def test_a_secret_from_a_file_loses_one_final_newline(tmp_path: Path, ending: str) -> None:
    secret = tmp_path / "key"
    secret.write_text("canary" + ending)
    secret.chmod(0o600)
    loaded = load(environ={"ISKRA_ALERTS__PAGERDUTY__ROUTING_KEY_FILE": str(secret)}, directory=tmp_path)
    assert loaded.settings.alerts.pagerduty.routing_key == SecretStr("canary")
    assert loaded.origins == {"alerts.pagerduty.routing_key": "env"}


@pytest.mark.parametrize(
    ("content", "mode", "finding"),
    [
        ("canary", 0o644, "is readable by everybody: chmod 600"),
        ("", 0o600, "is empty"),
        ("\n", 0o600, "is empty"),
        ("can\nary", 0o600, "holds control characters: it must be one line"),
        (None, 0o600, "cannot be read (FileNotFoundError)"),
    ],
)
def test_a_secret_file_that_is_not_one_is_refused(tmp_path: Path, content: str | None, mode: int, finding: str) -> None:
    secret = tmp_path / "key"
    if content is not None:
        secret.write_text(content)
        secret.chmod(mode)
    (only,) = findings(tmp_path, {"ISKRA_ALERTS__PAGERDUTY__ROUTING_KEY_FILE": str(secret)})
    assert finding in only
    assert "canary" not in only


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    environ = {
        "ISKRA_ALERTS__PAGERDUTY__ROUTING_KEY": "canary",
        "ISKRA_ALERTS__PAGERDUTY__ROUTING_KEY_FILE": str(tmp_path / "key"),
    }
    assert findings(tmp_path, environ) == (
        "environment: alerts.pagerduty.routing_key is given twice, as a value and as a file; keep one",
    )


def test_secrets_are_stars_wherever_settings_are_shown(tmp_path: Path) -> None:
    environ = {**SASL, "ISKRA_KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "ISKRA_ALERTS__PAGERDUTY__ROUTING_KEY": "canary"}
    loaded = load(environ=environ, directory=tmp_path)
    shown = {key: value for key, value, _ in loaded.rows()}
    assert (shown["kafka.sasl_password"], shown["alerts.pagerduty.routing_key"]) == ("**********", "**********")
    assert "canary" not in repr(loaded) + repr(loaded.settings.kafka.options()) + json.dumps(shown)


def test_the_demo_runs_the_clock_fifteen_times_as_fast(tmp_path: Path) -> None:
    loaded = load(environ={"ISKRA_PROFILE": "demo"}, directory=tmp_path)
    assert loaded.origins["clock_divisor"] == "profile demo"
    assert loaded.settings.scoring.rules(loaded.settings.clock_divisor) == ScoreRules().scaled(15)
    assert loaded.settings.agent == AgentOptions().scaled(15)


def test_what_is_set_explicitly_counts_as_it_stands_on_the_demo_clock_too(tmp_path: Path) -> None:
    environ = {
        "ISKRA_PROFILE": "demo",
        "ISKRA_SCORING__IDLE_TIMEOUT_S": "1.5",
        "ISKRA_AGENT__HEARTBEAT__INTERVAL_MS": "700",
    }
    settings = load(environ=environ, directory=tmp_path).settings
    assert settings.scoring.rules(15).idle_timeout == 1_500
    assert settings.agent.heartbeat.interval_ms == 700
    assert settings.agent.telemetry.report_ms == 2_000


def test_a_profile_lies_below_files(tmp_path: Path) -> None:
    (tmp_path / "iskra.toml").write_text('profile = "demo"\nclock_divisor = 3\n')
    loaded = load(environ={}, directory=tmp_path)
    assert (loaded.settings.clock_divisor, loaded.origins["clock_divisor"]) == (3, "iskra.toml")
    assert loaded.settings.agent == AgentOptions().scaled(3)


def test_each_setting_reaches_the_value_it_is_named_after() -> None:
    """A section cannot lose a field on its way to the frozen value."""
    rules = ScoringSettings(pane_s=7, grace_s=1, silence_after_s=8, dedup_horizon_s=9, out_of_orderness_s=0.25).rules()
    assert (rules.pane, rules.grace, rules.silence_after, rules.dedup_horizon, rules.out_of_orderness) == (
        7_000,
        1_000,
        8_000,
        9_000,
        250,
    )
    assert RuntimeSettings(checkpoint_ms=50).options() == RuntimeOptions(checkpoint_ms=50)
    assert KafkaSettings(bootstrap="a:1,b:2", topic_prefix="p").options() == KafkaOptions("a:1,b:2", "p")


def test_the_file_to_copy_names_each_setting_with_its_default(tmp_path: Path) -> None:
    """Uncommented as a whole it changes nothing, and it lacks no setting."""
    text = (Path(__file__).resolve().parents[2] / "config" / "iskra.toml").read_text()
    assert [line for line in text.splitlines() if line and line[0] not in "#["] == []
    filled = tmp_path / "filled.toml"
    filled.write_text(re.sub(r"(?m)^# ([a-z_]+ = )", r"\1", text))
    plain = load(environ={}, directory=tmp_path)
    loaded = load(config=filled, environ={}, directory=tmp_path)
    assert loaded.settings == plain.settings
    rows = {key: value for key, value, _ in plain.rows()}
    without = {key for key, value in rows.items() if value is None}
    assert set(loaded.origins) | {"scoring.seam_weights"} == set(rows) - without
    assert set(re.findall(r"(?m)^# ([a-z_]+) =$", text)) == {key.rpartition(".")[2] for key in without}
