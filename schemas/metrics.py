"""Every metric: name, kind, labels, help. Data only: the instruments are made where things are counted.

Labels come from closed sets, never from an id or a URL. Names are without the prefix ``iskra_``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["ALL", "PREFIX", "Kind", "Metric", "by_name"]

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

PREFIX: Final = "iskra_"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the catalogue."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """As Prometheus reads it: ``iskra_events_total``."""
        return f"{PREFIX}{self.name}"


_PLACE: Final = ("stage", "partition")

ALL: Final[tuple[Metric, ...]] = (
    # all workers
    Metric("build_info", "gauge", "Always 1; which version runs in which role.", ("role", "version")),
    Metric("start_seconds", "gauge", "Seconds from the start of the process to each phase.", ("phase",)),
    Metric("rebalances_total", "counter", "Rebalances of the consumer group seen by this worker."),
    Metric("waiting", "gauge", "1 while the worker pauses: nobody answers, or topics changed under it.", ("on",)),
    Metric("position", "gauge", "Next offset to read.", _PLACE),
    Metric("lag_records", "gauge", "Records in the log that are not yet processed.", _PLACE),
    Metric("lag_seconds", "gauge", "Age of the oldest record that is not yet processed.", _PLACE),
    Metric("checkpoint_seconds", "histogram", "Duration of a checkpoint, from its cut to its commit.", ("stage",)),
    Metric("checkpoint_age_seconds", "gauge", "Time since the last checkpoint with something to commit.", _PLACE),
    Metric("restore_seconds", "histogram", "Duration of opening a partition: fence, restore, seek.", ("stage",)),
    Metric("state_keys", "gauge", "Keys in the state of each partition when it was opened.", _PLACE),
    Metric("outputs_total", "counter", "Records written.", ("stage",)),
    Metric("produce_errors_total", "counter", "Checkpoints that failed: Kafka did not take a record.", ("stage",)),
    Metric("fetch_errors_total", "counter", "Failed fetches, those of one outage counted once per ten seconds."),
    Metric("fenced_total", "counter", "Producers fenced because another worker had taken over.", ("stage",)),
    Metric("stalls_total", "counter", "Ends by the watchdog: records waited and nothing moved."),
    Metric("call_errors_total", "counter", "Calls to the outside that ended in a bug of ours.", ("stage",)),
    Metric("records_raised_total", "counter", "Records refused because folding them is a bug of ours.", ("stage",)),
    Metric("offset_gap_total", "counter", "Offsets that the broker never delivered: markers, aborted records.", _PLACE),
    Metric("lost_by_retention_total", "counter", "Offsets that retention took before they were read.", _PLACE),
    Metric("unaccounted_events", "gauge", "Records read without an outcome; other than 0 is a fault of ours.", _PLACE),
    Metric("events_total", "counter", "Records by outcome; of a scorer events.", ("stage", "outcome")),
    # scorer
    Metric("events_rejected_total", "counter", "Rejected events by reason.", ("reason",)),
    Metric("event_age_seconds", "histogram", "Age of an event by the broker's clock when it is processed."),
    Metric("event_to_voice_seconds", "histogram", "From an event's append to the voice it raised.", ("voice",)),
    Metric("watermark_lag_seconds", "gauge", "How far the watermark is behind the clock.", ("partition",)),
    Metric("unknown_delta_total", "counter", "Events whose delta the registry does not have."),
    Metric("unknown_field_total", "counter", "Fields of accepted events that nobody knows."),
    Metric("key_mismatch_total", "counter", "Events whose Kafka key is not their connection id."),
    Metric("seq_gaps_total", "counter", "Events that agents numbered and that never came."),
    Metric("evicted_total", "counter", "What bounded sets had to let go.", ("set",)),
    Metric("connections", "gauge", "Known connections by link state.", ("state",)),
    # scorer and roll-up
    Metric("voices_total", "counter", "Voice records.", ("level", "voice", "transition")),
    Metric("seam_score", "gauge", "The newest scores of each seam.", ("seam", "score")),
    Metric("ecosystem_score", "gauge", "The newest scores of the ecosystem.", ("score",)),
    Metric("seam_voice", "gauge", "0 silent, 1 Celebration, 2 Curiosity, 3 Concern, 4 Alarm.", ("seam",)),
    # router and dispatcher
    Metric("decisions_total", "counter", "Decisions by outcome and reason.", ("outcome", "reason")),
    Metric("episodes_open", "gauge", "Open episodes by voice.", ("voice",)),
    Metric("notifications_total", "counter", "Calls to the outside by what became of them.", ("receiver", "outcome")),
    Metric("notification_seconds", "histogram", "From decision to accepted delivery.", ("receiver",)),
    Metric("intent_oldest_seconds", "gauge", "Age of the oldest intent that is not settled.", ("receiver",)),
    Metric("receiver_paused", "gauge", "1 while a receiver has asked us to wait.", ("receiver",)),
    Metric("dead_letters_total", "counter", "Notifications that were given up, by reason.", ("reason",)),
    Metric("delivery_repeats_total", "counter", "Calls repeated because the answer to the first is unknown."),
    Metric("template_fallback_total", "counter", "Messages that went out as plain text because a template failed."),
    Metric("unaccounted_notifications", "gauge", "Intents without an end; other than 0 is a fault of ours."),
    # agents
    Metric("agent_links", "gauge", "Links by state and transport.", ("state", "transport")),
    Metric("agent_connect_seconds", "histogram", "From DNS to the proof that a link works.", ("transport",)),
    Metric("agent_errors_total", "counter", "Errors of links by category.", ("category",)),
)
"""By owner: all workers, scorer, roll-up, alerts, agents."""

_BY_NAME: Final = {metric.name: metric for metric in ALL}


def by_name(name: str) -> Metric:
    """The metric of this name, without prefix. Raises KeyError for a name that no metric has."""
    return _BY_NAME[name]
