"""Every private name of Faust, mode and aiokafka's consumer that the runtime overrides or reads, in one place.

Kept of Faust: the app, the worker, group membership, the rebalance state machine. Replaced: the hand-off of records
(whole lists per partition instead of one message through channels and streams), commits (ours are transactions) and
seeking (the position comes from our state). ``tests/pipeline/runtime/test_faust_seam.py`` fails when a name changes.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, cast

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError, OffsetOutOfRangeError
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import ServiceT

from schemas.types import Instant

from .lanes import Lanes
from .options import KafkaOptions, heartbeat_ms
from .producing import client_options

__all__ = ["OVERRIDDEN", "READ", "ForegroundWorker", "IskraApp", "LaneTransport", "PromptTables", "observed"]

OVERRIDDEN: tuple[tuple[type, tuple[str, ...]], ...] = (
    (
        driver.Consumer,
        (
            "_drain_messages",
            "_new_consumer_thread",
            "force_commit",
            "on_partitions_revoked",
            "perform_seek",
            "verify_all_partitions_active",
        ),
    ),
    (driver.AIOKafkaConsumerThread, ("_create_worker_consumer",)),
    (driver.Transport, ("Consumer",)),
    (BootStrategy, ("enable_kafka_producer", "enable_web")),
    (TableManager, ("on_start",)),
    (faust.App, ("BootStrategy", "on_first_start", "on_started")),
    (faust.Worker, ("_schedule_shutdown", "on_execute", "on_worker_shutdown")),
)
"""What is replaced, by the class that owns it."""

READ: tuple[tuple[type, tuple[str, ...]], ...] = (
    (driver.Consumer, ("_getmany", "stop_flow", "should_stop", "wait", "assignment")),
    (driver.AIOKafkaConsumerThread, ("seek_wait", "_ensure_consumer")),
    (TableManager, ("_update_channels", "recovery")),
    (faust.App, ("consumer", "consumer_generation_id", "on_rebalance_complete", "on_before_shutdown", "rebalancing")),
    (faust.Worker, ("_starting_fut", "_signal_stop_future", "crash_reason")),
)
"""What is called or read without being replaced."""

MAX_POLL_INTERVAL_S = 1000.0
METADATA_MAX_AGE_MS = 5_000
FETCH_BYTES = 4 * 1024 * 1024
_IDLE_WAIT = 0.1
_FETCH_RETRY = 0.2


class LaneConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with a consumer of our settings in it."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        app = cast("IskraApp", self.app)
        runtime = app.lanes.runtime
        return AIOKafkaConsumer(
            **client_options(app.kafka),
            client_id=app.lanes.member,
            group_id=app.lanes.group,
            group_instance_id=app.static_member,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            # A position that retention has passed must be an error here: opening counts what is lost.
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=runtime.fetch_wait_ms,
            max_partition_fetch_bytes=FETCH_BYTES,
            max_poll_interval_ms=int(MAX_POLL_INTERVAL_S * 1000),
            session_timeout_ms=runtime.session_timeout_ms,
            heartbeat_interval_ms=heartbeat_ms(runtime.session_timeout_ms),
            rebalance_timeout_ms=max(30_000, 3 * runtime.session_timeout_ms),
            request_timeout_ms=max(20_000, 2 * runtime.session_timeout_ms),
            retry_backoff_ms=50,
            # A topic that was gone is given to somebody again soon after it is back.
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
        )


def observed(consumer: AIOKafkaConsumer, tp: TopicPartition) -> tuple[int, int | None, Instant | None] | None:
    """Where the consumer stands, where the log ends and when it last heard so; None when it is not assigned.

    aiokafka's own ``position`` is a coroutine of the consumer's thread; these are plain reads.
    """
    subscription = consumer._subscription.subscription  # noqa: SLF001 - see above
    assignment = subscription.assignment if subscription is not None else None
    if assignment is None or tp not in assignment.tps:
        return None
    state = assignment.state_value(tp)
    if not state.has_valid_position:
        return None
    return state.position, state.highwater, state.timestamp


class LaneConsumer(driver.Consumer):
    """Faust's consumer that hands whole lists of records to the lanes."""

    _thread: LaneConsumerThread

    def _new_consumer_thread(self) -> LaneConsumerThread:
        return LaneConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Nothing: ``_drain_messages`` puts the consumer at the lanes' positions before it fetches."""

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002 - Faust's
        """Nothing: offsets are committed in the lanes' transactions."""
        return False

    async def verify_all_partitions_active(self) -> None:
        """Nothing: it watches Faust's acknowledgements; the watchdog watches ours."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Last checkpoint and goodbye, while the group still counts us in; then what Faust does."""
        self.stop_flow()
        await cast("IskraApp", self.app).lanes.close(last_checkpoint=True)
        await super().on_partitions_revoked(revoked)

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Fetch and fold for ever. The only place that seeks, so no fetch of the past is taken for news."""
        app = cast("IskraApp", self.app)
        while not (self.should_stop or fetcher.should_stop):
            if not self.flow_active:
                await self.wait(self.can_resume_flow.wait())
                continue
            await self._turn(app.lanes, app.consumer_generation_id)

    async def _turn(self, lanes: Lanes, generation: int) -> None:
        def going() -> bool:
            return self.flow_active and generation == self.app.consumer_generation_id

        seeks = lanes.seeks()
        if seeks:
            await self._seek_all(lanes, seeks, going)
        polled = lanes.readable()
        if not polled:
            await lanes.wait_changed(_IDLE_WAIT)
            return
        try:
            fetched = await self._getmany(set(polled), lanes.runtime.fetch_wait_ms / 1000)
        except OffsetOutOfRangeError as error:
            lanes.unfolded(polled)
            lanes.out_of_range(error.args[0] if error.args else polled)
            return
        except KafkaError as error:
            lanes.unfolded(polled)
            lanes.fetch_failed(f"{type(error).__name__}: {error}")
            await asyncio.sleep(_FETCH_RETRY)
            return
        if not going():
            lanes.unfolded(polled)
            return
        if fetched:
            await lanes.feed(fetched, polled, going=going)
        consumer = self._thread._ensure_consumer()  # noqa: SLF001 - see the module
        for tp, partition in polled.items():
            seen = observed(consumer, tp) if going() else None
            if seen is not None:
                position, highwater, at = seen
                lanes.observe(tp, partition, position=position, highwater=highwater, fetched_at=at)

    async def _seek_all(self, lanes: Lanes, seeks: Mapping[TopicPartition, int], going: Any) -> None:
        try:
            await self._thread.seek_wait(seeks)
        except (IllegalStateError, TimeoutError) as error:
            # Revoked in this moment; the next assignment opens what is ours then.
            lanes.fetch_failed(f"seek: {type(error).__name__}: {error}")
            await asyncio.sleep(_FETCH_RETRY)
            return
        if going():
            lanes.sought(seeks)


class LaneTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer."""

    Consumer: ClassVar[Any] = LaneConsumer


class PromptTables(TableManager):
    """No table exists, so the second Faust waits for tables to register is not waited."""

    async def on_start(self) -> None:
        """Faust's, without the wait."""
        await self._update_channels()
        await self.recovery.start()


class ConsumingOnly(BootStrategy):
    """Neither Faust's producer nor its web server."""

    enable_kafka_producer = False
    enable_web = False


class IskraApp(faust.App):
    """A Faust app whose partitions are lanes."""

    BootStrategy = ConsumingOnly

    def __init__(self, lanes: Lanes, kafka: KafkaOptions, *, static_member: str | None) -> None:
        """Subscribed to the inputs of the lanes' stages."""
        runtime = lanes.runtime
        self.lanes = lanes
        self.kafka = kafka
        self.static_member = static_member
        self.on_begin: Callable[[], None] = lambda: None
        super().__init__(
            lanes.group,
            broker=[f"kafka://{host.strip()}" for host in kafka.bootstrap.split(",")],
            autodiscover=False,
            web_enabled=False,
            stream_wait_empty=False,
            table_standby_replicas=0,
            topic_disable_leader=True,
            topic_allow_declare=False,
            broker_session_timeout=runtime.session_timeout_ms / 1000,
            broker_request_timeout=max(20.0, 2 * runtime.session_timeout_ms / 1000),
            broker_max_poll_interval=MAX_POLL_INTERVAL_S,
            value_serializer="raw",
            worker_redirect_stdouts=False,
            TableManager=PromptTables,
        )
        self.transport = LaneTransport(self.conf.broker_consumer, self)
        for name in lanes.stages:
            self.topics.add(self.topic(name, key_type=bytes, value_type=bytes))
        self.on_rebalance_complete.connect(self._open_assigned)
        self.on_before_shutdown.connect(self._close_assigned)

    async def on_first_start(self) -> None:
        """Refuse to start where the topics do not fit. Faust's data directory is not made."""
        self.on_begin()
        await self.lanes.check()

    async def on_started(self) -> None:
        """The lanes' clock and their look around start; then what Faust does."""
        self.add_future(self.lanes.run_clock())
        self.add_future(self.lanes.surroundings.run())
        await super().on_started()

    async def _open_assigned(self, *_: Any, **__: Any) -> None:
        assigned: Iterable[TP] = self.consumer.assignment()
        await self.lanes.open(TopicPartition(tp.topic, tp.partition) for tp in assigned)

    async def _close_assigned(self, *_: Any, **__: Any) -> None:
        await self.lanes.close(last_checkpoint=True)


class ForegroundWorker(faust.Worker):
    """Faust's worker and its signal handlers, without its terminal decoration, logging and process title."""

    def __init__(self, app: IskraApp, *services: ServiceT, loop: asyncio.AbstractEventLoop) -> None:
        """The services start before the app."""
        super().__init__(app, *services, loop=loop, quiet=True, override_logging=False, redirect_stdouts=False)
        self.spinner = None
        self.on_signal: Callable[[], None] = lambda: None

    async def on_execute(self) -> None:
        """Nothing: the process title stays."""

    def on_worker_shutdown(self) -> None:
        """Nothing: the process title stays."""

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        self.on_signal()
        super()._schedule_shutdown(signal)

    def end(self) -> None:
        """Stop, as on SIGTERM."""
        super()._schedule_shutdown(signal.SIGTERM)

    async def run(self) -> None:
        """Start, wait for the end, stop everything. Raises what the start raised."""
        self._starting_fut = asyncio.ensure_future(self.start())
        try:
            await asyncio.wait([self._starting_fut])
        finally:
            if self._signal_stop_future is not None:
                await self._signal_stop_future
            else:
                await self.stop()
        await self._starting_fut
