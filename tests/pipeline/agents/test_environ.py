"""The agent's settings from the environment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.agents.agent import Agent
from pipeline.agents.core.options import AgentOptions, KafkaTarget
from pipeline.agents.environ import SettingError, kafka_target, options_from

from .fakes import Notebook


def test_an_empty_environment_gives_the_defaults():
    assert options_from({}) == AgentOptions()
    assert options_from({"ISKRA_AGENT__HEARTBEAT__MISSES": "", "PATH": "/bin"}) == AgentOptions()
    assert kafka_target({}) == KafkaTarget()


def test_each_kind_of_value_is_read():
    read = options_from(
        {
            "ISKRA_AGENT__HEARTBEAT__INTERVAL_MS": "5000",
            "ISKRA_AGENT__HEARTBEAT__SPREAD": "0.25",
            "ISKRA_AGENT__BACKOFF__SINGLE_MS": "100,200",
            "ISKRA_AGENT__CONNECT__PROXY": "http://proxy:3128",
        }
    )
    plain = AgentOptions()
    assert read == replace(
        plain,
        heartbeat=replace(plain.heartbeat, interval_ms=5_000, spread=0.25),
        backoff=replace(plain.backoff, single_ms=(100, 200)),
        connect=replace(plain.connect, proxy="http://proxy:3128"),
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ISKRA_AGENT__HART__MISSES", "2", "no such group; known are connect, backoff"),
        ("ISKRA_AGENT__SCALED__X", "2", "no such group"),
        ("ISKRA_AGENT__HEARTBEAT__MISES", "2", "no such setting; heartbeat has interval_ms"),
        ("ISKRA_AGENT__HEARTBEAT__MISSES", "two", "not a number that fits"),
        ("ISKRA_AGENT__HEARTBEAT__MISSES", "-1", "not a number that fits"),
        ("ISKRA_AGENT__HEARTBEAT__MISSES", "nan", "not a number that fits"),
        ("ISKRA_AGENT__HEARTBEAT__MISSES", "1e13", "not a number that fits"),
        ("ISKRA_AGENT__BACKOFF__SINGLE_MS", "1,,2", "not a number that fits"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name_and_never_ignored(name, text, message):
    with pytest.raises(SettingError, match=message) as caught:
        options_from({name: text})
    assert str(caught.value).startswith(name)


def test_kafka_is_named_as_everywhere_in_the_product(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    environ = {
        "ISKRA_KAFKA__BOOTSTRAP": "k1:9092,k2:9092",
        "ISKRA_KAFKA__TOPIC_PREFIX": "demo",
        "ISKRA_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "ISKRA_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
        "ISKRA_KAFKA__SASL_USERNAME": "agent",
        "ISKRA_KAFKA__SASL_PASSWORD_FILE": str(secret),
        "ISKRA_KAFKA__SSL_CAFILE": "/ca.pem",
    }
    target = kafka_target(environ)
    assert target == KafkaTarget(
        "k1:9092,k2:9092", "demo.events.v1", "SASL_SSL", "SCRAM-SHA-512", "agent", "s3cret", "/ca.pem"
    )
    assert "s3cret" not in repr(target)
    with pytest.raises(SettingError, match="both set"):
        kafka_target({**environ, "ISKRA_KAFKA__SASL_PASSWORD": "x"})
    with pytest.raises(SettingError, match="ISKRA_KAFKA__SASL_PASSWORD_FILE: cannot read"):
        kafka_target({"ISKRA_KAFKA__SASL_PASSWORD_FILE": str(tmp_path / "none")})


def test_an_agent_is_made_from_its_environment():
    agent = Agent.from_env("billing", publisher=Notebook(), environ={"ISKRA_AGENT__STOP__FLUSH_MS": "5"})
    assert (agent.name, agent.options.stop.flush_ms) == ("billing", 5)


def test_a_faster_clock_divides_durations_of_meaning_and_leaves_the_network_alone():
    plain, fast = AgentOptions(), AgentOptions().scaled(15)
    assert fast == replace(
        plain,
        connect=replace(plain.connect, stable_after_ms=667),
        heartbeat=replace(plain.heartbeat, interval_ms=1_000),
        telemetry=replace(plain.telemetry, report_ms=2_000, verify_ms=60_000),
    )
