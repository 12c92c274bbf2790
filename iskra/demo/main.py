"""``iskra demo``: start everything, let the weather happen, say what was seen, leave nothing behind.

In a terminal a living picture; elsewhere (or with ``--check``) the same as plain lines. The exit code is the verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.text import Text

from iskra.chaos.proxy import FaultProxy
from iskra.problems import Problem
from schemas.types import Level, VoiceName

from .links import connection_id
from .supervisor import Stage, still_running, supervised
from .verdict import Facts, Heard, Row, judge
from .view import COLOURS, GLYPHS, draw
from .watching import Watch, unaccounted
from .weather import CUT_S, END_S, LINKS, SPELLS, Change, Fault, forecast

__all__ = ["run"]

_CONNECTED_WITHIN_S = 30.0
_LOOK_S = 0.25
_CROWD_S = 2.0
_SLOW_EACH_WAY_MS = 300
_INTERRUPTED = 130


def run(*, seed: int, check: bool) -> int:
    """The whole demo.

    Shape: ``check`` prints plain lines even in a terminal. The answer is the exit code: 0 when every row of the table
    was seen, 1 when one was not, 130 after Ctrl-C.
    Errors: Problem, when a part cannot be started.
    """
    console = Console(highlight=False, soft_wrap=True)
    living = console.is_terminal and not check
    run_of_it = _Run(seed, console, living=living)
    try:
        asyncio.run(run_of_it.whole())
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("ended by you; nothing is left running")
        return _INTERRUPTED
    return run_of_it.tell_verdict()


@dataclass(slots=True)
class _Run:
    """One run from start to verdict."""

    seed: int
    console: Console
    living: bool = field(kw_only=True)
    watch: Watch = field(default_factory=Watch)
    facts: Facts | None = None
    crowd: dict[tuple[VoiceName, str], list[str]] = field(default_factory=dict)
    """Voices of single links that wait for their common line, by voice and what it did."""

    def say(self, step: str, seconds: float) -> None:
        """One line of the start."""
        self.console.print(f"  {seconds:5.1f} s  {step}")

    async def whole(self) -> None:
        """Start, weather, end; ``facts`` afterwards."""
        self.console.print("∆DΩΛ demo: a real Kafka, 5 workers, 60 links, bad weather; the clock runs 15 times as fast")
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        begun = time.monotonic()
        async with supervised(self.seed, self.say) as stage:
            follower = asyncio.create_task(self.watch.follow(stage.kafka, self.on_voice))
            try:
                await self._connected(stage, begun)
                await self._weather(stage)
                lost = await unaccounted(stage.workers)
            finally:
                follower.cancel()
                await asyncio.gather(follower, return_exceptions=True)
            processes = stage.processes
        self.facts = self._facts(lost, still_running(processes))

    async def _connected(self, stage: Stage, begun: float) -> None:
        asked = time.monotonic()
        while len(stage.proxy.open_links) < LINKS:
            if time.monotonic() - asked > _CONNECTED_WITHIN_S:
                message = f"{len(stage.proxy.open_links)} of {LINKS} links connected in {_CONNECTED_WITHIN_S:.0f} s"
                raise Problem(message)
            await asyncio.sleep(0.05)
        self.say(f"{LINKS} links connected", time.monotonic() - asked)
        self.watch.ready_at = time.time()
        self.console.print(f"ready after {time.monotonic() - begun:.1f} s")

    async def _weather(self, stage: Stage) -> None:
        changes = list(forecast(self.seed))
        spells = list(SPELLS)
        spell, crowd_at = "", 0.0
        with self._screen() as live:
            while (now := self.watch.now_s()) < END_S:
                while spells and spells[0].at_s <= now:
                    spell = spells.pop(0).text
                    if live is None:
                        self.console.print(f"{now:6.1f}  {spell}")
                while changes and changes[0].at_s <= now:
                    _carry_out(changes.pop(0), stage.proxy)
                self._look(stage, spell, live)
                if now >= crowd_at:
                    self._tell_crowd()
                    crowd_at = now + _CROWD_S
                next_change = changes[0].at_s if changes else END_S
                await asyncio.sleep(max(0.0, min(_LOOK_S, next_change - self.watch.now_s())))
            self._look(stage, spell, live)
            self._tell_crowd()

    @contextlib.contextmanager
    def _screen(self) -> Iterator[Live | None]:
        if not self.living:
            yield None
            return
        with Live(draw(self.watch.view), console=self.console, screen=True, auto_refresh=False) as live:
            yield live

    def _look(self, stage: Stage, spell: str, live: Live | None) -> None:
        before = self.watch.view
        self.watch.look(stage.sinks, stage.proxy.open_links, LINKS, spell)
        view = self.watch.view
        if live is not None:
            live.update(draw(view), refresh=True)
            return
        for message in view.messages[len(before.messages) :]:
            self.console.print(f"{message.at_s:6.1f}  Slack      {message.text}")
        for incident in view.incidents[len(before.incidents) :]:
            self.console.print(f"{incident.at_s:6.1f}  PagerDuty  triggered: {incident.summary}")
        for old, new in zip(before.messages, view.messages, strict=False):
            if old.green_at_s is None and new.green_at_s is not None:
                self.console.print(f"{new.green_at_s:6.1f}  Slack      green: {new.resolved_text}")
            for at_s, text in new.replies[len(old.replies) :]:
                self.console.print(f"{at_s:6.1f}  Slack        in its thread: {text}")
        for was, now in zip(before.incidents, view.incidents, strict=False):
            if was.resolved_at_s is None and now.resolved_at_s is not None:
                self.console.print(f"{now.resolved_at_s:6.1f}  PagerDuty  resolved: {now.summary}")

    def on_voice(self, heard: Heard) -> None:
        """Print what is new, unless a picture shows it."""
        if self.living or heard.delta == "voice_held":
            return
        did = heard.delta.removeprefix("voice_")
        if heard.level is Level.CONNECTION:
            self.crowd.setdefault((heard.voice, did), []).append(heard.subject)
        else:
            self._voice_line(heard.at_s, heard.voice, did, heard.subject)

    def _voice_line(self, at_s: float, voice: VoiceName, did: str, who: str) -> None:
        self.console.print(Text(f"{at_s:6.1f}  {GLYPHS[voice]} {voice:<12}{did:<11}{who}", style=COLOURS[voice]))

    def _tell_crowd(self) -> None:
        """One line for all links that said the same since the last one."""
        for (voice, did), subjects in self.crowd.items():
            who = subjects[0] if len(subjects) == 1 else f"{len(subjects)} links"
            self._voice_line(self.watch.now_s(), voice, did, who)
        self.crowd.clear()

    def _facts(self, lost: float | None, left: tuple[str, ...]) -> Facts:
        calm = [trust for at_s, trust in self.watch.seam_trust if at_s < CUT_S]
        blipped = sorted(
            {link for change in forecast(self.seed) if change.fault is Fault.BLIP for link in change.links}
        )
        return Facts(
            voices=tuple(self.watch.voices),
            calm_trust=calm[-1] if calm else None,
            messages=self.watch.view.messages,
            incidents=self.watch.view.incidents,
            blip_links=tuple(connection_id(link) for link in blipped),
            unaccounted=lost,
            left_running=left,
        )

    def tell_verdict(self) -> int:
        """The table, and what to do next; the exit code."""
        assert self.facts is not None
        rows = judge(self.facts)
        self.console.print()
        for row in rows:
            self.console.print(
                Text(f"  {'✓' if row.ok else '✗'}  {row.expected}: {row.seen}", style="" if row.ok else "bold red")
            )
        missed = [row for row in rows if not row.ok]
        self.console.print(_last_word(missed, rows))
        return 1 if missed else 0


def _last_word(missed: list[Row], rows: tuple[Row, ...]) -> str:
    if missed:
        return f"\n{len(missed)} of {len(rows)} rows not seen (a loaded machine can be too slow for the weather)"
    return f"\nall {len(rows)} rows seen. Next: iskra broker start, iskra topics apply, iskra up, iskra tap voices"


def _carry_out(change: Change, proxy: FaultProxy) -> None:
    match change.fault:
        case Fault.CUT:
            proxy.cut(change.links)
        case Fault.HEAL:
            proxy.heal(change.links)
        case Fault.BLIP:
            proxy.drop(change.links)
        case Fault.SLOW:
            proxy.delay(change.links, each_way_ms=_SLOW_EACH_WAY_MS)


if __name__ == "__main__":
    sys.exit(run(seed=7, check=True))
