"""The compose file and the image as texts: shape, hardening, and that each variable and command exists.

No Docker is needed; what only a running container can show is not claimed here.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from iskra.apps.worker import member_of
from iskra.settings import load, variables

ROOT = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_file_is_valid_by_the_compose_specification() -> None:
    """By the copy of the schema that check-jsonschema carries; its code is not used."""
    carrier = distribution("check-jsonschema")
    schema = Path(str(carrier.locate_file("check_jsonschema/builtin_schemas/vendor/compose-spec.json")))
    jsonschema.validate(COMPOSE, json.loads(schema.read_text()))


def test_it_runs_what_the_design_names() -> None:
    assert set(SERVICES) == {"kafka", "topics", "scorer-0", "scorer-1", "rollup-0", "router-0", "dispatcher-0"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_held_on_a_short_lead(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+", service["image"])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["pids_limit"] > 0
    assert "privileged" not in service
    assert "network_mode" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert str(port).startswith("127.0.0.1:")


def test_everything_waits_for_a_healthy_kafka_and_its_topics() -> None:
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name in set(OURS) - {"topics"}:
        assert SERVICES[name]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_each_service_that_stays_has_a_health_check_on_a_port_it_serves() -> None:
    for name, service in SERVICES.items():
        check = service["healthcheck"]
        if name == "topics":
            assert check == {"disable": True}
        elif name == "kafka":
            assert "--bootstrap-server kafka:9092" in check["test"][-1]
        else:
            port = service["command"][service["command"].index("--port") + 1]
            assert f"http://127.0.0.1:{port}/readyz" in check["test"][-1]


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_a_setting_and_the_defaults_are_ours(name: str, tmp_path: Path) -> None:
    given = {key: str(value) for key, value in SERVICES[name]["environment"].items()}
    assert set(given) <= set(variables())
    values = {}
    for key, text in given.items():
        found = re.fullmatch(r"\$\{([A-Z_]+):-(.*)\}", text)
        if found:
            assert found[1] == key
        values[key] = found[2] if found else text
    changed = {key for key, origin in load(environ=values, directory=tmp_path).origins.items() if origin == "env"}
    plain = load(environ={}, directory=tmp_path)
    shown = {key: value for key, value, _ in plain.rows()}
    inside = {key: value for key, value, _ in load(environ=values, directory=tmp_path).rows()}
    assert {key for key in changed if shown[key] != inside[key]} == {"kafka.bootstrap"}


@pytest.mark.parametrize("name", OURS)
def test_each_command_exists(name: str) -> None:
    import typer

    from iskra.commands.main import app

    words = [str(word) for word in SERVICES[name]["command"]]
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while rest and hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    command.make_context(words[0], list(rest), resilient_parsing=False)
    if words[0] == "worker":
        assert member_of(words[1])
        assert words[1] == name


def test_only_alert_roles_see_the_receivers_secrets() -> None:
    holders = {name for name, service in OURS.items() if any("ALERTS" in key for key in service["environment"])}
    assert holders == {"router-0", "dispatcher-0"}


def test_the_brokers_file_is_whole_and_its_data_on_the_volume() -> None:
    kafka = SERVICES["kafka"]
    assert "./deploy/kafka/server.properties:/mnt/shared/config/server.properties:ro" in kafka["volumes"]
    assert set(kafka["environment"]) == {"CLUSTER_ID", "KAFKA_HEAP_OPTS"}
    lines = (ROOT / "deploy" / "kafka" / "server.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert f"kafka-data:{properties['log.dirs']}" in kafka["volumes"]
    assert properties["auto.create.topics.enable"] == "false"
    advertised = dict(one.split("://") for one in properties["advertised.listeners"].split(","))
    assert advertised["PLAINTEXT"] == OURS["scorer-0"]["environment"]["ISKRA_KAFKA__BOOTSTRAP"]
    host, published, _ = kafka["ports"][0].split(":")
    assert advertised["HOST"] == f"{host}:{published}"


def test_the_image_is_pinned_hashed_and_not_root() -> None:
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:3.11.14-slim-bookworm"}
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1] == OURS["scorer-0"]["user"]
    assert not re.search(r"^ADD ", DOCKERFILE, re.MULTILINE)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        assert [one for one in source.split() if not (ROOT / one).exists()] == []
