"""What a person sees of the demo in a terminal: links, scores, voices, the message and the incident.

``View`` is reduced from facts and drawn by rich; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.align import Align
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.types import VoiceName

from .verdict import Heard, Incident, Message
from .weather import END_S

__all__ = ["COLOURS", "GLYPHS", "View", "draw", "heard", "scored", "sparkline"]

COLOURS: Mapping[VoiceName, str] = {
    VoiceName.ALARM: "#D14A00",
    VoiceName.CONCERN: "#F2C200",
    VoiceName.CURIOSITY: "#8064D8",
    VoiceName.CELEBRATION: "#3DC1B0",
}
GLYPHS: Mapping[VoiceName, str] = {
    VoiceName.ALARM: "▲",
    VoiceName.CONCERN: "◆",
    VoiceName.CURIOSITY: "?",
    VoiceName.CELEBRATION: "★",
}
_BARS = "▁▂▃▄▅▆▇█"
_KEEP = 48
_FEED = 14


@dataclass(frozen=True, slots=True)
class View:
    """Everything on the screen."""

    at_s: float = 0.0
    spell: str = ""
    connected: tuple[bool, ...] = ()
    """Links with an open socket through the proxy, by number."""
    scores: Mapping[str, tuple[tuple[float, float, float], ...]] = field(default_factory=dict)
    """Pain, chaos, trust by subject (seams and the ecosystem), oldest first."""
    feed: tuple[Heard, ...] = ()
    speaking: Mapping[str, VoiceName] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    incidents: tuple[Incident, ...] = ()


def sparkline(values: Sequence[float]) -> str:
    """Numbers in [0, 1] as a row of bars: 0 is the lowest, 1 the highest ("▁▅█" for 0, .5, 1)."""
    return "".join(_BARS[min(7, max(0, int(value * 8)))] for value in values)


def scored(view: View, subject: str, pain: float, chaos: float, trust: float) -> View:
    """The view with one more pane of a seam or the ecosystem."""
    kept = (*view.scores.get(subject, ()), (pain, chaos, trust))[-_KEEP:]
    return replace(view, scores={**view.scores, subject: kept})


def heard(view: View, voice: Heard) -> View:
    """The view with one more voice record; ``voice_held`` says nothing new."""
    if voice.delta == "voice_held":
        return view
    speaking = dict(view.speaking)
    if voice.delta in ("voice_raised", "voice_changed"):
        speaking[voice.subject] = voice.voice
    elif voice.delta == "voice_cleared":
        speaking.pop(voice.subject, None)
    return replace(view, feed=(*view.feed, voice)[-_FEED:], speaking=speaking)


def _links(view: View) -> RenderableType:
    text = Text()
    for number, up in enumerate(view.connected):
        voice = view.speaking.get(f"connection:demo/link-{number:02d}")
        glyph = GLYPHS[voice] if voice else ("●" if up else "○")
        text.append(glyph + " ", style=COLOURS[voice] if voice else ("green" if up else "red"))
        if number % 15 == 14:
            text.append("\n")
    return Panel(text, title=f"links: {sum(view.connected)} of {len(view.connected)} connected", border_style="dim")


def _scores(view: View) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for subject, panes in view.scores.items():
        voice = view.speaking.get(subject)
        mark = Text(f"{GLYPHS[voice]} {voice}", style=COLOURS[voice]) if voice else Text("")
        table.add_row(Text(subject, style="bold"), mark, Text(""))
        for name, place in (("pain", 0), ("chaos", 1), ("trust", 2)):
            values = [pane[place] for pane in panes]
            table.add_row(f"  {name}", Text(f"{values[-1]:.2f}"), Text(sparkline(values)))
    return Panel(table, title="pain, chaos, trust", border_style="dim")


def _feed(view: View) -> RenderableType:
    lines = Text()
    for voice in view.feed:
        lines.append(f"{voice.at_s:6.1f}  ", style="dim")
        lines.append(f"{GLYPHS[voice.voice]} {voice.voice:<12}", style=COLOURS[voice.voice])
        lines.append(f"{voice.delta.removeprefix('voice_'):<11}{voice.subject}\n")
    return Panel(lines, title="voices", border_style="dim")


def _message(message: Message) -> RenderableType:
    body: list[RenderableType] = [Text(message.resolved_text or message.text)]
    body += [Text(f"  ↳ {text}", style="dim") for _, text in message.replies]
    green = message.green_at_s is not None
    return Panel(Group(*body), title=f"Slack #alerts, {message.at_s:.1f} s", border_style="green" if green else "red")


def _incident(incident: Incident) -> RenderableType:
    resolved = incident.resolved_at_s
    state = "triggered" if resolved is None else f"resolved at {resolved:.1f} s"
    return Panel(
        Text(incident.summary), title=f"PagerDuty, {state}", border_style="red" if resolved is None else "green"
    )


def draw(view: View) -> RenderableType:
    """One screen."""
    head = Align.center(
        Text(f"∆DΩΛ   {view.at_s:5.1f} s of {END_S:.0f}   {view.spell}   (one pane = 2 s)   Ctrl-C ends", style="bold")
    )
    told = [_message(message) for message in view.messages[-3:]] + [
        _incident(incident) for incident in view.incidents[-2:]
    ]
    layout = Layout()
    layout.split_column(Layout(head, size=1), Layout(name="body"))
    layout["body"].split_row(Layout(name="left"), Layout(name="right"))
    layout["left"].split_column(Layout(_links(view), size=6), Layout(_scores(view)))
    layout["right"].split_column(Layout(_feed(view), size=_FEED + 2), Layout(Group(*told)))
    return layout
