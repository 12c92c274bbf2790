"""Where options, environment and files meet; every value remembers where it came from.

Strongest first: option, ``ISKRA_A__B`` (a secret also ``ISKRA_A__B_FILE``), ``.env.<ISKRA_ENV>``, ``.env``, one file
(``--config``, ``ISKRA_CONFIG``, ``iskra.{toml,yaml,yml,json}`` here, else in ``/etc/iskra``), the profile's overlay, a
broker started in ``.iskra/broker``, the defaults. Each source is read alone into a nested dict, so that an origin is a
fact and not a guess; the merged dict is then checked by the models.

Errors: SettingsProblem with a line per finding: source, key, what is allowed; never a value.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import stat
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from alerts.settings import AlertsSettings
from iskra import strict_json
from iskra.problems import SettingsProblem
from pipeline.agents.core.options import AgentOptions
from pipeline.agents.environ import SettingError, options_from
from pipeline.settings import KafkaSettings, RuntimeSettings, ScoringSettings

__all__ = ["LOCAL_BROKER", "PROFILES", "Loaded", "Settings", "load", "variables"]

PREFIX = "ISKRA_"
LOCAL_BROKER = Path(".iskra", "broker")
"""Where ``iskra broker start`` keeps its broker, below the current directory."""

DEMO_CLOCK = 15
PROFILES: Mapping[str, Mapping[str, Any]] = {"default": {}, "demo": {"clock_divisor": DEMO_CLOCK}}
"""What a profile lays over the defaults."""

_ELSEWHERE = frozenset({"ISKRA_CONFIG", "ISKRA_ENV", "ISKRA_REQUIRE"})
"""Variables that say where to look, or belong to the tests."""
_ELSEWHERE_PREFIXES = ("ISKRA_TEST_", "ISKRA_CRASH")

_AGENT = f"{PREFIX}AGENT__"

_Tree: TypeAlias = dict[str, Any]


class Settings(BaseModel):
    """All settings. Sections are checked by the models of their packages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    profile: Literal["default", "demo"] = "default"
    clock_divisor: int = Field(1, ge=1, le=100)
    """Durations of meaning (panes, half-life, silence, waits) are divided by it; those of the network are not."""
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    scoring: ScoringSettings = Field(default_factory=ScoringSettings)
    runtime: RuntimeSettings = Field(default_factory=RuntimeSettings)
    alerts: AlertsSettings = Field(default_factory=AlertsSettings)
    agent: AgentOptions = Field(default_factory=AgentOptions)
    """The agent's own frozen values: an embedded agent reads the same variables without this module."""

    @model_validator(mode="after")
    def _no_negative_length(self) -> Self:
        """The agent's values are plain data without ranges of their own: none may be below zero."""
        for group in dataclasses.fields(self.agent):
            options = getattr(self.agent, group.name)
            for field in dataclasses.fields(options):
                numbers = getattr(options, field.name)
                if any(
                    isinstance(n, int | float) and n < 0
                    for n in (numbers if isinstance(numbers, tuple) else (numbers,))
                ):
                    msg = f"agent.{group.name}.{field.name} must not be negative"
                    raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the origin of each value by dotted key; a key not named has its default."""

    settings: Settings
    origins: Mapping[str, str]

    def rows(self) -> list[tuple[str, Any, str]]:
        """Key, value (secrets as stars), origin, in the order of the models."""
        shown = self.settings.model_dump(mode="json")
        return [(key, _get(shown, key), self.origins.get(key, "default")) for key, _ in _leaves()]


def load(
    options: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Loaded:
    """The settings that hold in this directory under this environment.

    Shape: ``options`` nested, as given on the command line; ``config`` the file named there.
    """
    environment = os.environ if environ is None else environ
    here = Path.cwd() if directory is None else directory
    findings: list[str] = []
    sources: list[tuple[str, _Tree]] = [("option", dict(options or {}))]
    sources.append(("env", _from_variables(environment, "environment", findings)))
    dotenvs = _dotenv_files(environment, here, findings)
    sources += [(file.name, _from_variables(_dotenv(file), file.name, findings)) for file in dotenvs]
    named = config or (Path(environment["ISKRA_CONFIG"]) if environment.get("ISKRA_CONFIG") else None)
    chosen = _config_file(named, here, findings)
    if chosen is not None:
        sources.append((chosen.name, _from_file(chosen, findings)))
    profile = next((str(tree["profile"]) for _, tree in sources if "profile" in tree), "default")
    sources.append((f"profile {profile}", dict(PROFILES.get(profile, {}))))
    sources.append(("clock_divisor", _agent_clock(sources)))
    sources.append((str(LOCAL_BROKER), _local_broker(here)))
    if findings:
        raise SettingsProblem(findings)
    merged: _Tree = {}
    origins: dict[str, str] = {}
    for name, tree in reversed(sources):
        _lay_over(merged, tree, name, origins, "")
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsProblem(_findings(error, origins)) from None
    if environment.get("ISKRA_ENV") == "production" and _readable_off_loopback(settings.kafka):
        msg = "kafka.security_protocol: plain text off loopback in production: use SASL_SSL, or set allow_plaintext"
        raise SettingsProblem([msg])
    return Loaded(settings, origins)


def variables() -> dict[str, str]:
    """Every environment variable that is a setting, with its dotted key; secrets also by file."""
    names: dict[str, str] = {}
    for key, leaf in _leaves():
        names[_variable(key)] = key
        if _is_secret(leaf):
            names[_variable(key) + "_FILE"] = key
    return names


# ------------------------------------------------------------------------------------------------- the models' shape
def _section(annotation: Any) -> Mapping[str, Any] | None:
    """Names and types of what stands in a section (a model or a frozen value); None for a single value."""
    if not isinstance(annotation, type):
        return None
    if issubclass(annotation, BaseModel):
        return {name: field.annotation for name, field in annotation.model_fields.items()}
    return typing.get_type_hints(annotation) if dataclasses.is_dataclass(annotation) else None


def _leaves(section: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and type of every value that can be set."""
    for name, annotation in (_section(section or Settings) or {}).items():
        if _section(annotation) is None:
            yield prefix + name, annotation
        else:
            yield from _leaves(annotation, f"{prefix}{name}.")


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the type alone; without Annotated."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _parts(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in {typing.Union, UnionType}:
        return tuple(part for member in typing.get_args(annotation) for part in _parts(member))
    return (annotation,)


def _is_secret(annotation: Any) -> bool:
    return SecretStr in _parts(annotation)


def _is_structured(annotation: Any) -> bool:
    """Whether a variable's text is read as JSON."""
    return any(typing.get_origin(part) in {dict, list, tuple, set, frozenset} for part in _parts(annotation))


def _variable(key: str) -> str:
    return PREFIX + key.replace(".", "__").upper()


# ------------------------------------------------------------------------------------------------- variables, .env
def _from_variables(environment: Mapping[str, str], source: str, findings: list[str]) -> _Tree:
    """The settings among these variables. An empty one counts as absent, an unknown one is a finding."""
    known = variables()
    types = dict(_leaves())
    tree: _Tree = {}
    for name in sorted(environment):
        text = environment[name]
        if not name.startswith(PREFIX) or name in _ELSEWHERE or name.startswith(_ELSEWHERE_PREFIXES):
            continue
        if name.startswith(_AGENT):
            _agent_variable(tree, name, text, source, findings)
            continue
        key = known.get(name.upper())
        if key is None:
            findings.append(f"{source}: {name} is no setting{_nearest(name.upper(), known)}")
        elif text != "":
            if _get(tree, key) is not None:
                findings.append(f"{source}: {key} is given twice, as a value and as a file; keep one")
            elif name.upper().endswith("_FILE") and name.upper() != _variable(key):
                _set(tree, key, _secret(Path(text), f"{source}: {name}", findings))
            else:
                _set(tree, key, _value(text, types[key], f"{source}: {name}", findings))
    return tree


def _agent_variable(tree: _Tree, name: str, text: str, source: str, findings: list[str]) -> None:
    """A setting of the agent, read as the embedded agent reads it: series with commas."""
    try:
        options = options_from({name: text})
    except SettingError as error:
        findings.append(f"{source}: {error}")
        return
    group, _, field = name.removeprefix(_AGENT).lower().partition("__")
    known = _get(dataclasses.asdict(options), group)
    if text:
        _set(tree, f"agent.{group}.{field}", known[field])


def _value(text: str, annotation: Any, where: str, findings: list[str]) -> Any:
    """The variable's text, or the JSON in it where the setting has parts."""
    if not _is_structured(annotation):
        return text
    try:
        return strict_json.loads(text)
    except ValueError as error:
        findings.append(f"{where} must be JSON: {error}")
        return None


def _secret(file: Path, where: str, findings: list[str]) -> str:
    """A secret's file: there, readable by its owner only, one line, not empty."""
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        findings.append(f"{where}: {file} cannot be read ({error.__class__.__name__})")
        return ""
    text = text.removesuffix("\n")
    if mode & stat.S_IROTH:
        findings.append(f"{where}: {file} is readable by everybody: chmod 600 {file}")
    elif not text:
        findings.append(f"{where}: {file} is empty")
    elif any(ord(sign) < 0x20 or ord(sign) == 0x7F for sign in text):
        findings.append(f"{where}: {file} holds control characters: it must be one line")
    return text


def _dotenv_files(environment: Mapping[str, str], here: Path, findings: list[str]) -> list[Path]:
    """The dot-env files that exist, strongest first."""
    stage = environment.get("ISKRA_ENV", "")
    if stage and not stage.replace("-", "").replace("_", "").isalnum():
        findings.append("environment: ISKRA_ENV must be a word like production")
        stage = ""
    names = ([f".env.{stage}"] if stage else []) + [".env"]
    return [here / name for name in names if (here / name).is_file()]


def _dotenv(file: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    return {name: text for name, text in dotenv_values(file, interpolate=False).items() if text is not None}


# ------------------------------------------------------------------------------------------------- files
def _config_file(named: Path | None, here: Path, findings: list[str]) -> Path | None:
    """The one file of settings; two candidates in one place are a finding."""
    if named is not None:
        if not named.is_file():
            findings.append(f"{named}: there is no such file of settings")
            return None
        return named
    for place in (here, Path("/etc/iskra")):
        found = [
            place / f"iskra.{kind}" for kind in ("toml", "yaml", "yml", "json") if (place / f"iskra.{kind}").is_file()
        ]
        if len(found) > 1:
            findings.append(f"{place}: {' and '.join(file.name for file in found)} are both there; keep one")
        if found:
            return found[0]
    return None


def _from_file(file: Path, findings: list[str]) -> _Tree:
    """The file's tree; every unknown key is a finding."""
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".toml":
            tree: Any = tomllib.loads(text)
        elif file.suffix in {".yaml", ".yml"}:
            tree = _yaml(text)
        elif file.suffix == ".json":
            tree = strict_json.loads(text)
        else:
            findings.append(f"{file}: must end with .toml, .yaml, .yml or .json")
            return {}
    except (OSError, ValueError) as error:
        findings.append(f"{file}: cannot be read: {str(error).splitlines()[0]}")
        return {}
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        findings.append(f"{file}: must be a table of settings")
        return {}
    _unknown_keys(Settings, tree, "", str(file), findings)
    return tree


def _yaml(text: str) -> Any:
    """YAML of plain values: no repeated keys, no aliases, no tags. Raises ValueError."""
    import yaml

    class Plain(yaml.SafeLoader):
        """The safe loader without what a file of settings does not need."""

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            event = self.peek_event()  # type: ignore[no-untyped-call] # the stubs leave PyYAML's parser untyped
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                msg = "anchors and aliases are not used here"
                raise ValueError(msg)
            if getattr(event, "tag", None):
                msg = "tags are not used here"
                raise ValueError(msg)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 PyYAML's signature
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            if len({str(key) for key in keys}) < len(keys):
                msg = "a key stands twice"
                raise ValueError(msg)
            return super().construct_mapping(node, deep=deep)

    try:
        return yaml.load(text, Loader=Plain)  # noqa: S506 a subclass of SafeLoader that allows less
    except yaml.YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from None


def _unknown_keys(section: Any, tree: _Tree, prefix: str, source: str, findings: list[str]) -> None:
    within = _section(section) or {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if name not in within:
            findings.append(f"{source}: {key} is no setting{_nearest(key, [known for known, _ in _leaves()])}")
        elif _section(within[name]) is not None:
            if isinstance(value, dict):
                _unknown_keys(within[name], value, f"{key}.", source, findings)
            else:
                findings.append(f"{source}: {key} is a section, not a value")


def _agent_clock(sources: list[tuple[str, _Tree]]) -> _Tree:
    """What the divided clock changes of the agent's defaults; whatever is set explicitly lies over it."""
    said = next((tree["clock_divisor"] for _, tree in sources if "clock_divisor" in tree), 1)
    try:
        divisor = int(said)
    except (TypeError, ValueError):  # the model will say so
        return {}
    if divisor <= 1:
        return {}
    plain, scaled = dataclasses.asdict(AgentOptions()), dataclasses.asdict(AgentOptions().scaled(divisor))
    changed = {
        group: {name: value for name, value in options.items() if value != plain[group][name]}
        for group, options in scaled.items()
    }
    return {"agent": {group: options for group, options in changed.items() if options}}


def _local_broker(here: Path) -> _Tree:
    """The address of the broker that runs in this directory, if one does."""
    from iskra.apps.broker import status

    running = status(here / LOCAL_BROKER)
    return {} if running is None else {"kafka": {"bootstrap": running.bootstrap}}


# ------------------------------------------------------------------------------------------------- merging, reporting
def _get(tree: _Tree, key: str) -> Any:
    node: Any = tree
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    return node


def _set(tree: _Tree, key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
    tree[last] = value


def _lay_over(merged: _Tree, tree: _Tree, name: str, origins: dict[str, str], prefix: str) -> None:
    """Lay a stronger source over what is merged so far. Sections merge, values replace."""
    known = {key for key, _ in _leaves()}
    for part, value in tree.items():
        key = f"{prefix}{part}"
        if isinstance(value, dict) and key not in known:
            below = merged.setdefault(part, {})
            if isinstance(below, dict):
                _lay_over(below, value, name, origins, f"{key}.")
                continue
        merged[part] = value
        origins[key] = name


def _nearest(word: str, known: typing.Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else "; all are listed by: iskra config show"


def _findings(error: ValidationError, origins: Mapping[str, str]) -> list[str]:
    """One line per finding: where it was set, key, what is allowed. The value is not repeated."""
    lines = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        key = ".".join(str(part) for part in item["loc"])
        origin = next((origins[prefix] for prefix in _prefixes(key) if prefix in origins), None)
        if origin is None:  # a whole section is at fault: whoever set the first value of it
            origin = next((name for known, name in origins.items() if known.startswith(f"{key}.")), "settings")
        lines.append(f"{origin}: {key}: {item['msg'].removeprefix('Value error, ')}")
    return lines


def _prefixes(key: str) -> Iterator[str]:
    parts = key.split(".")
    return (".".join(parts[:length]) for length in range(len(parts), 0, -1))


def _readable_off_loopback(kafka: KafkaSettings) -> bool:
    """Whether records or passwords would travel readable through a network."""
    hosts = [address.rpartition(":")[0] for address in kafka.bootstrap.split(",")]
    off = any(host not in {"localhost", "[::1]"} and not host.startswith("127.") for host in hosts)
    return off and "SSL" not in kafka.security_protocol and not kafka.allow_plaintext
