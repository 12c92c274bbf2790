"""What the runtime's tests on real Kafka share: topics of their own, a worker that counts, the log read back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from .counting import COUNTED, NUMBERS, RECOUNTING_STATE, STATE, TOPICS
from .processes import WorkerProcess, eventually

__all__ = ["Rig", "Seen", "rig_on"]

ENTRY = "tests.integration.worker_entry"


class Seen(NamedTuple):
    """A committed record."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass
class Rig:
    """One test's topics on the shared broker, and the processes it started."""

    bootstrap: str
    prefix: str
    partitions: int
    runtime: dict[str, int]
    reach_within_s: float = 30.0
    recounting: bool = False
    started: list[WorkerProcess] = field(default_factory=list)
    sent: dict[int, int] = field(default_factory=dict)
    _readers: dict[str, tuple[KafkaConsumer, list[Seen]]] = field(default_factory=dict)

    def topic(self, logical: str) -> str:
        return f"{self.prefix}.{logical}"

    def start(self, member: str = "counting-0", crash_at: str | None = None, **runtime: int) -> WorkerProcess:
        """A worker as a child process."""
        counting = {
            "bootstrap": self.bootstrap,
            "prefix": self.prefix,
            "member": member,
            "recounting": self.recounting,
            "reach_within_s": self.reach_within_s,
            "runtime": {**self.runtime, **runtime},
        }
        settings = {"COUNTING": json.dumps(counting)}
        if crash_at is not None:
            settings["CRASH_AT"] = crash_at
        worker = WorkerProcess(member, settings, ENTRY)
        self.started.append(worker)
        return worker

    def ready(self, member: str = "counting-0", **runtime: int) -> WorkerProcess:
        """A worker that has its partitions."""
        worker = self.start(member, None, **runtime)
        worker.wait_ready()
        return worker

    def send(self, values: Sequence[bytes | None], keys: int = 5, partition: int | None = None) -> None:
        """Records to the input, acked."""
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", linger_ms=5)
        futures = [
            producer.send(self.topic(NUMBERS), key=b"k%d" % (number % keys), value=value, partition=partition)
            for number, value in enumerate(values)
        ]
        for future in futures:
            place = future.get(timeout=10)
            self.sent[place.partition] = max(self.sent.get(place.partition, 0), place.offset + 1)
        producer.close()

    def send_until_dead(self, worker: WorkerProcess, values: Sequence[bytes], within_s: float = 20.0) -> int:
        """The same records again and again until the process is gone; the answer is how often."""
        times = 0

        def dead() -> bool:
            nonlocal times
            self.send(values)
            times += 1
            return worker.process.poll() is not None

        eventually(dead, within_s=within_s, what=f"the worker dies:\n{worker.tail()}")
        return times

    def read(self, logical: str) -> list[Seen]:
        """Every committed record of a topic so far, by partition and offset."""
        places = [TopicPartition(self.topic(logical), number) for number in range(self.partitions)]
        if logical not in self._readers:
            consumer = KafkaConsumer(
                bootstrap_servers=self.bootstrap,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                fetch_max_wait_ms=50,
            )
            consumer.assign(places)
            consumer.seek_to_beginning()
            self._readers[logical] = consumer, []
        consumer, found = self._readers[logical]
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(timeout_ms=50).values():
                found += [Seen(record.partition, record.offset, record.key, record.value) for record in records]
        return sorted(found)

    def close(self) -> None:
        """Nothing of this test runs on."""
        for consumer, _ in self._readers.values():
            consumer.close()
        for worker in self.started:
            if worker.process.poll() is None:
                worker.kill()
            else:
                worker._close()

    def metas(self) -> dict[int, dict[str, Any]]:
        """The last meta record of each partition."""
        return {seen.partition: json.loads(seen.value or b"") for seen in self.read(STATE) if seen.key == b"!meta"}

    def state(self) -> dict[bytes, int]:
        """The last committed count of each key."""
        return {
            seen.key: json.loads(seen.value)["total"]
            for seen in self.read(STATE)
            if seen.key is not None and seen.value is not None and not seen.key.startswith(b"!")
        }

    def wait_processed(self, within_s: float = 20.0) -> dict[int, dict[str, Any]]:
        """Until the committed position of each partition is behind all that was sent."""

        def done() -> dict[int, dict[str, Any]] | None:
            metas = self.metas()
            behind = [p for p, end in self.sent.items() if metas.get(p, {"position": -1})["position"] < end]
            return None if behind else metas

        try:
            found: dict[int, dict[str, Any]] = eventually(done, within_s=within_s, what="all processed")
        except AssertionError as error:
            tails = "\n\n".join(worker.tail() for worker in self.started)
            message = f"{error}; sent {self.sent}, positions {self.metas()}\n{tails}"
            raise AssertionError(message) from None
        return found

    def counted(self) -> dict[tuple[int, int], int]:
        """How often each input record was counted in the output, by input partition and offset."""
        times: dict[tuple[int, int], int] = {}
        for seen in self.read(COUNTED):
            content = json.loads(seen.value or b"")
            if "offset" in content:
                place = (content["partition"], content["offset"])
                times[place] = times.get(place, 0) + 1
        return times

    def assert_exactly_once(self, records: int) -> None:
        """Each record was counted once, totals are those of the log, the books balance."""
        assert self.counted() == dict.fromkeys(
            [(partition, offset) for partition, end in self.sent.items() for offset in range(end)], 1
        )
        totals: dict[str, int] = {}
        for seen in self.read(COUNTED):
            content = json.loads(seen.value or b"")
            assert content["total"] == totals.get(content["key"], 0) + 1
            totals[content["key"]] = content["total"]
        assert sum(totals.values()) == records
        assert self.state() == {key.encode(): total for key, total in totals.items()}
        for meta in self.metas().values():
            assert meta["position"] - meta["base"] == sum(meta["counts"].values()) + meta["gap"]

    def groups(self) -> dict[int, int]:
        """The group's committed offsets."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            places = [TopicPartition(self.topic(NUMBERS), number) for number in range(self.partitions)]
            offsets = admin.list_group_offsets({f"{self.prefix}-counting": places})[f"{self.prefix}-counting"]
            return {place.partition: found.offset for place, found in offsets.items() if found.offset >= 0}
        finally:
            admin.close()


def probe(worker: WorkerProcess, path: str) -> tuple[int, str]:
    """Status and text of one of a worker's pages."""
    try:
        with urlopen(f"http://127.0.0.1:{worker.port()}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def metric(worker: WorkerProcess, name: str, **labels: object) -> float | None:
    """One value of a worker's metrics."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    for line in probe(worker, "/metrics")[1].splitlines():
        if line.split("{")[0].split(" ")[0] == name and all(text in line for text in wanted):
            return float(line.rsplit(" ", 1)[1])
    return None


@contextmanager
def rig_on(
    bootstrap: str,
    partitions: int = 2,
    configs: Mapping[str, Mapping[str, str]] | None = None,
    leave_out: Sequence[str] = (),
    counts: Mapping[str, int] | None = None,
) -> Iterator[Rig]:
    """Topics of this test's own; every process it started is gone afterwards."""
    prefix = f"t{secrets.token_hex(4)}"
    configs = {STATE: {"cleanup.policy": "compact"}, RECOUNTING_STATE: {"cleanup.policy": "compact"}, **(configs or {})}
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics(
        [
            NewTopic(
                f"{prefix}.{name}", (counts or {}).get(name, partitions), 1, topic_configs=dict(configs.get(name, {}))
            )
            for name in TOPICS
            if name not in leave_out
        ]
    )
    admin.close()
    rig = Rig(bootstrap, prefix, partitions, {"checkpoint_ms": 50, "session_timeout_ms": 2_000})
    try:
        yield rig
    finally:
        rig.close()
