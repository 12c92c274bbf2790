"""The command line from outside: fast help, one-line errors, exit codes. No broker is needed here."""

from __future__ import annotations

import ast
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = '{"delta": "connection_failed", "dimension": 3, "omega": 0.8, "lambda": "wait", "fractal_metadata": {}}'


def iskra(*arguments: str, cwd: Path, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ISKRA_")}
    return subprocess.run(
        [sys.executable, "-m", "iskra.commands.main", *arguments],
        env={**clean, **environ, "PYTHONPATH": str(ROOT)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
    )


def test_help_takes_less_than_three_tenths_of_a_second(tmp_path: Path) -> None:
    """Of processor time, median of five: so that a busy machine changes nothing."""
    seconds = []
    for _ in range(5):
        before = os.times()
        assert iskra("--help", cwd=tmp_path).returncode == 0
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert statistics.median(seconds) < 0.3


@pytest.mark.parametrize("module", sorted((ROOT / "iskra" / "commands").glob("*.py")), ids=lambda path: path.stem)
def test_command_modules_import_typer_and_the_standard_library_only(module: Path) -> None:
    """Anything else is imported inside the function that needs it, or for types only."""
    allowed = {"typer", "iskra.problems"}
    for node in ast.parse(module.read_text()).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            if name.startswith("iskra.commands") or name in allowed or name == "typer.core":
                continue
            assert name.partition(".")[0] in sys.stdlib_module_names


COMMANDS = [
    ("demo",), ("worker",), ("up",), ("down",), ("status",), ("tap",), ("broker", "fetch"), ("broker", "start"),
    ("broker", "stop"), ("broker", "status"), ("topics", "plan"), ("topics", "apply"), ("event", "check"),
    ("event", "send"), ("agent", "run"), ("agent", "serve"), ("config", "show"), ("state", "show"), ("state", "rebuild"),
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_explains_itself(tmp_path: Path, words: tuple[str, ...]) -> None:
    answer = iskra(*words, "--help", cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith(f"Usage: iskra {' '.join(words)}")


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "line"),
    [
        (
            ("worker", "scorr-0"),
            {},
            2,
            "iskra: 'scorr-0' is no worker: it is one of scorer, rollup, router, dispatcher",
        ),
        (("worker", "scorer-100"), {}, 2, "iskra: 'scorer-100' is no worker"),
        (("tap", "voice"), {}, 2, "iskra: 'voice' is no topic: one of events,"),
        (("tap", "voices", "--since", "soon"), {}, 2, "iskra: 'soon' is no length of time"),
        (("tap", "voices", "--since", "1s", "--from-beginning"), {}, 2, "iskra: --from-beginning and --since exclude"),
        (("config", "show"), {"ISKRA_SCORING__EMIT": "x"}, 2, "iskra: env: scoring.emit: "),
        (("--config", "no.toml", "config", "show"), {}, 2, "iskra: no.toml: there is no such file"),
        (("event", "check", "no.json"), {}, 2, "iskra: no.json: No such file or directory"),
        (("broker", "status"), {}, 1, "iskra: no broker runs in .iskra/broker: iskra broker start"),
        (("agent", "run", "--url", "http://x"), {}, 2, "iskra: --url 'http://x' is no WebSocket endpoint"),
        (("agent", "run", "--url", "ws://x", "--publisher", "y"), {}, 2, "iskra: --publisher 'y' is none"),
        (("agent", "serve", "--mode", "y"), {}, 2, "iskra: --mode 'y' is none"),
        (("topics", "plan"), {"ISKRA_KAFKA__BOOTSTRAP": "127.0.0.1:1"}, 3, "iskra: no Kafka answers at 127.0.0.1:1: "),
        (
            ("event", "send", "-"),
            {"ISKRA_KAFKA__BOOTSTRAP": "127.0.0.1:1"},
            3,
            "iskra: no Kafka answers at 127.0.0.1:1: ",
        ),
        (("broker", "start"), {"PATH": "/nowhere", "JAVA_HOME": "/nowhere"}, 3, "iskra: Java >= 17 is needed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_error_is_one_line_on_stderr_and_an_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], code: int, line: str
) -> None:
    answer = iskra(*arguments, cwd=tmp_path, stdin=EXAMPLE, **environ)
    assert (answer.returncode, answer.stdout) == (code, "")
    assert answer.stderr.startswith(line)
    assert len(answer.stderr.splitlines()) == 1


def test_usage_errors_end_with_two(tmp_path: Path) -> None:
    assert iskra("nonsense", cwd=tmp_path).returncode == 2
    assert iskra("topics", "apply", "--partitions", "0", cwd=tmp_path).returncode == 2


def test_a_traceback_comes_only_with_debug(tmp_path: Path) -> None:
    assert "Traceback" not in iskra("worker", "x", cwd=tmp_path).stderr
    assert "Traceback" in iskra("--debug", "worker", "x", cwd=tmp_path).stderr


def test_status_and_down_where_nothing_runs(tmp_path: Path) -> None:
    status, down, stop = (iskra(*words, cwd=tmp_path) for words in (("status",), ("down",), ("broker", "stop")))
    assert (status.returncode, status.stdout, status.stderr) == (
        1, "", "no worker was started in .iskra/run: iskra up\n",
    )  # fmt: skip
    assert (down.returncode, down.stderr) == (0, "no worker runs in .iskra/run\n")
    assert (stop.returncode, stop.stderr) == (0, "no broker runs in .iskra/broker\n")
    assert list(tmp_path.iterdir()) == []


def test_config_show_prints_each_setting_with_its_origin(tmp_path: Path) -> None:
    (tmp_path / "iskra.toml").write_text('[kafka]\ntopic_prefix = "drill"\n')
    environ = {"ISKRA_SCORING__EMIT": "all", "ISKRA_ALERTS__PAGERDUTY__ROUTING_KEY": "canary"}
    answer = iskra("config", "show", "--origin", "--json", cwd=tmp_path, **environ)
    shown = json.loads(answer.stdout)
    assert shown["kafka.topic_prefix"] == {"value": "drill", "origin": "iskra.toml"}
    assert shown["scoring.emit"] == {"value": "all", "origin": "env"}
    assert shown["runtime.checkpoint_ms"] == {"value": 200, "origin": "default"}
    assert shown["alerts.pagerduty.routing_key"] == {"value": "**********", "origin": "env"}
    plain = iskra("config", "show", cwd=tmp_path, **environ)
    assert len(plain.stdout.splitlines()) == len(shown)
    assert "canary" not in answer.stdout + plain.stdout


def test_event_check_says_of_each_event_what_a_worker_would_make_of_it(tmp_path: Path) -> None:
    answer = iskra("event", "check", "-", cwd=tmp_path, stdin=f'{EXAMPLE}\n\n{{"delta": 3}}\nx\n')
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [(line["line"], line["verdict"], line["reason"], line["path"]) for line in lines] == [
        (1, "accepted", None, None),
        (3, "rejected", "missing_field", "dimension"),
        (4, "rejected", "not_json", None),
    ]
    assert answer.returncode == 1


def test_event_check_takes_one_document_over_several_lines(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(json.dumps(json.loads(EXAMPLE), indent=2))
    answer = iskra("event", "check", "event.json", cwd=tmp_path)
    assert (answer.returncode, len(answer.stdout.splitlines())) == (0, 1)


def test_a_registry_of_ones_own_is_checked_and_used(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('version = "mine"\n[deltas.tea_spilled]\nseverity = 0.9\noutcome = "F"\n')
    event = '{"delta": "tea_spilled", "dimension": 1, "omega": 1, "lambda": "wipe", "fractal_metadata": {}}'
    environ = {"ISKRA_SCORING__REGISTRY_FILE": "mine.toml"}
    known = json.loads(iskra("event", "check", "-", cwd=tmp_path, stdin=event, **environ).stdout)
    assert (known["evidence"]["known"], known["evidence"]["failure"]) == (True, 1.0)
    (tmp_path / "mine.toml").write_text('version = "mine"\n[deltas.tea_spilled]\nseverity = 9\noutcome = "F"\n')
    broken = iskra("event", "check", "-", cwd=tmp_path, stdin=event, **environ)
    assert broken.returncode == 2
    assert broken.stderr.startswith("iskra: scoring.registry_file: mine.toml: ")


def test_sending_can_be_tried_without_a_broker(tmp_path: Path) -> None:
    answer = iskra("event", "send", "-", "--key", "c-1", "--dry-run", cwd=tmp_path, stdin=EXAMPLE)
    assert json.loads(answer.stdout) == {"line": 1, "topic": "iskra.events.v1", "key": "c-1", "bytes": len(EXAMPLE)}


def test_the_key_of_an_event_that_names_its_connection_is_that_name(tmp_path: Path) -> None:
    answer = iskra("event", "send", "-", "--dry-run", cwd=tmp_path, stdin='{"connection_id": "c-7"}')
    assert json.loads(answer.stdout)["key"] == "c-7"
