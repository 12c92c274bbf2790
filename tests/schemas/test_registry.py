"""The registry's rows as the design has them, and what no registry file may say."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.names import is_delta
from schemas.registry import (
    DeltaRow,
    LinkState,
    Outcome,
    Population,
    RegistryError,
    builtin_registry,
    load_registry,
    merged,
)

N, CP, CM = "network_infrastructure", "communication_protocol", "connection_management"
RM, LM, DC = "resilience_mechanisms", "lifecycle_management", "data_contract"
LB, EH, PM = "load_balancing", "error_handling", "performance_monitoring"
GO = "general_operation"

# Names, severity, outcome, state, D, Ω, seam: semantics.md 2, row by row.
SCORED: list[tuple[Any, ...]] = [
    ("connection_established connection_recovered", 0, "S", "up", 2, 0.9, N),
    ("reconnection_success", 0, "S", "up", 2, 0.85, N),
    ("connection_stable", 0, "S", None, 2, 0.95, N),
    ("heartbeat_success heartbeat_summary", 0, "L", None, 1, 0.95, N),
    ("session_resumed buffer_flushed batch_sent", 0, "S", None, 1, 0.8, CM),
    ("message_processed", 0, "N", None, 1, 0.8, CM),
    ("connection_closed connection_drained", 0, "N", "closed", 1, 0.9, LM),
    ("connection_attempt_started reconnect_scheduled", 0, "N", None, 1, 1, N),
    ("connection_lost disconnection", 0.5, "F", "down", 1, 0.9, N),
    ("connection_failed connection_attempt_failed", 0.7, "F", "down", 3, 0.8, N),
    ("connection_timeout", 0.6, "F", "down", 3, 0.8, N),
    ("connection_suspended", 0.8, "F", "down", 2, 0.95, N),
    ("heartbeat_timeout heartbeat_missed", 0.4, "F", None, 1, 0.7, N),
    ("zombie_detected", 0.65, "F", "down", 2, 0.7, N),
    ("agent_silent", 0.5, "F", "down", 2, 0.7, GO),
    ("error_detected websocket_error network_error", 0.6, "F", None, 3, 0.8, EH),
    ("auth_failed auth_rejected tls_failed", 0.8, "F", "down", 3, 0.9, EH),
    ("server_overload rate_limited", 0.5, "F", "degraded", 2, 0.75, LB),
    ("endpoint_failed_over", 0.5, "F", "degraded", 2, 0.9, LB),
    ("endpoint_failed_back", 0, "S", "up", 2, 0.9, LB),
    ("protocol_violation", 0.8, "F", None, 3, 0.9, DC),
    ("protocol_downgraded transport_downgraded", 0.5, "F", "degraded", 2, 0.9, CP),
    ("transport_upgraded", 0, "S", "up", 2, 0.9, CP),
    ("fallback_activated degraded_service_entered", 0.8, "F", "degraded", 4, 0.9, RM),
    ("degraded_service_left circuit_closed", 0, "S", "up", 2, 0.9, RM),
    ("circuit_opened", 0.7, "F", "down", 3, 0.9, RM),
    ("buffer_overflow messages_dropped continuity_lost", 0.6, "F", None, 2, 0.9, CM),
]
NEXT_STEPS = {
    "connection_failed": "attempt_reconnection_with_backoff",
    "heartbeat_timeout": "validate_connection_health",
    "protocol_violation": "escalate_to_developer",
    "server_overload": "activate_fallback_strategy",
    "reconnection_success": "monitor_stability",
    "fallback_activated": "investigate_primary_failure",
}
# The same with Λ before the seam: agents.md 10.
TOLD_BY_AGENTS: list[tuple[Any, ...]] = [
    ("connection_unproved", 0.5, "F", "down", 2, 0.7, "attempt_reconnection_with_backoff", N),
    ("connection_short_lived link_reported_down", 0.5, "F", "down", 2, 0.9, "attempt_reconnection_with_backoff", N),
    ("connection_closed_by_peer", 0, "N", "down", 1, 1, "attempt_reconnection_with_backoff", N),
    ("connection_abandoned", 0.8, "F", "down", 3, 1, "escalate_to_human", N),
    ("link_reported_up", 0, "N", "up", 1, 0.9, "continue_monitoring", N),
    ("link_reported_degraded", 0, "N", "degraded", 1, 0.9, "continue_monitoring", N),
    ("network_down", 0.7, "F", "down", 4, 0.6, "wait_for_network", N),
    ("network_up", 0, "S", "up", 4, 0.9, "monitor_stability", N),
    ("seam_verified", 0, "S", None, 1, 0.9, "continue_monitoring", GO),
    ("connection_slow", 0, "N", None, 2, 0.9, "continue_monitoring", PM),
    ("transport_blocked", 0.4, "F", None, 3, 1, "activate_fallback_strategy", CP),
    ("upgrade_probe_started upgrade_probe_failed", 0, "N", None, 3, 0.9, "probe_upgrade", CP),
    ("circuit_half_open", 0, "N", None, 3, 0.9, "probe_half_open", RM),
    ("correlated_loss", 0, "N", None, 4, 0.8, "spread_reconnects", LB),
    ("retry_budget_exhausted", 0, "N", None, 4, 1, "spread_reconnects", LB),
    ("buffer_pressure", 0.4, "F", None, 2, 0.9, "flush_buffer", CM),
    ("message_quarantined", 0.5, "F", None, 2, 0.8, "inspect_message", DC),
    ("auth_refreshed", 0, "N", None, 1, 1, "continue_monitoring", EH),
    ("tls_expiring", 0, "N", None, 1, 1, "renew_certificate", EH),
    ("quality_degraded", 0.4, "F", "degraded", 2, 0.7, "monitor_stability", PM),
    ("quality_restored", 0, "S", "up", 2, 0.7, "monitor_stability", PM),
    ("quality_changed", 0, "N", None, 2, 0.7, "investigate_anomaly", PM),
    ("flapping_detected", 0, "N", None, 2, 0.85, "investigate_anomaly", PM),
    ("latency_anomaly", 0, "N", None, 2, 0.6, "investigate_anomaly", PM),
    ("local_stall_detected telemetry_dropped", 0.4, "F", None, 4, 0.9, "verify_local_host", PM),
    ("agent_started agent_report", 0, "S", "up", 1, 0.9, "monitor_stability", PM),
    ("agent_stopped", 0, "N", "closed", 1, 0.9, "continue_monitoring", PM),
    ("slo_breached", 0, "N", None, 4, 0.9, "escalate_to_human", PM),
    ("chaos_injected", 0, "N", None, 4, 0.9, "continue_monitoring", PM),
]


def test_every_row_of_the_design_is_there_and_no_other():
    def row(delta: str, *values: Any) -> DeltaRow:
        severity, outcome, state, dimension, omega, lambda_, seam = values
        proved = LinkState(state) if state else None
        return DeltaRow(delta, severity, Outcome(outcome), proved, dimension, omega, lambda_, seam)

    expected = {
        delta: row(delta, *values, NEXT_STEPS.get(delta, "continue_monitoring"), seam)
        for deltas, *values, seam in SCORED
        for delta in deltas.split()
    } | {delta: row(delta, *values) for deltas, *values in TOLD_BY_AGENTS for delta in deltas.split()}
    assert dict(builtin_registry().rows) == expected


def test_the_seams_have_their_populations():
    registry = builtin_registry()
    assert dict(registry.seams) == {
        N: Population.TOUCHING,
        CP: Population.LINKS,
        CM: Population.LINKS,
        RM: Population.LINKS,
        LM: Population.LINKS,
        DC: Population.LINKS,
        LB: Population.LINKS,
        EH: Population.LINKS,
        PM: Population.LINKS,
        GO: Population.TOUCHING,
        "other": Population.TOUCHING,
    }
    assert registry.population("checkout") is Population.TOUCHING
    assert {row.seam for row in registry.rows.values()} <= set(registry.seams)
    assert all(is_delta(row.lambda_) for row in registry.rows.values())


def test_the_builtin_registry_is_read_once_and_cannot_be_changed():
    assert builtin_registry() is builtin_registry()
    with pytest.raises(TypeError):
        builtin_registry().rows["x"] = None  # type: ignore[index]  # that is the point


def test_a_users_row_may_leave_out_what_has_a_default():
    registry = load_registry('version = "7"\n[deltas]\ncart_lost = { severity = 1, outcome = "F" }\n')
    assert registry.version == "7"
    assert dict(registry.rows) == {
        "cart_lost": DeltaRow("cart_lost", 1.0, Outcome.FAILURE, None, 1, 0.8, "continue_monitoring", GO)
    }


def test_a_users_rows_and_seams_win_over_those_of_the_package():
    extra = load_registry(
        'version = "shop"\n[seams]\ncheckout = "links"\nnetwork_infrastructure = "links"\n'
        '[deltas]\nconnection_lost = { severity = 0.1, outcome = "N", seam = "checkout" }\n'
    )
    base = builtin_registry()
    both = merged(base, extra)
    assert both.version == "1+shop"
    assert both.rows == {**base.rows, **extra.rows}
    assert both.rows["connection_lost"].seam == "checkout"
    assert both.population("checkout") is both.population(N) is Population.LINKS
    assert both.population(GO) is Population.TOUCHING


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version", "not TOML"),
        ('version = "1"\nversion = "2"', "not TOML"),
        ("", "version"),
        ("version = 1", "$.version"),
        ('version = "1"\ncolour = "red"', "colour"),
        ('version = "1"\n[seams]\ncheckout = "all"', "all"),
        ('version = "1"\n[seams]\nCheckout = "links"', "$.seams.Checkout"),
        ('version = "1"\n[deltas]\nab = { severity = 0, outcome = "S" }', "$.deltas.ab: not a name"),
        ('version = "1"\n[deltas]\nabc = { outcome = "S" }', "$.deltas.abc: Object missing required field `severity`"),
        ('version = "1"\n[deltas]\nabc = { severity = 0, outcome = "X" }', "$.deltas.abc"),
        ('version = "1"\n[deltas]\nabc = { severity = 1.1, outcome = "S" }', "$.severity"),
        ('version = "1"\n[deltas]\nabc = { severity = nan, outcome = "S" }', "$.severity"),
        ('version = "1"\n[deltas]\nabc = { severity = true, outcome = "S" }', "$.severity"),
        ('version = "1"\n[deltas]\nabc = { severity = 0, outcome = "S", dimension = 0 }', "$.dimension"),
        ('version = "1"\n[deltas]\nabc = { severity = 0, outcome = "S", omega = inf }', "$.omega"),
        ('version = "1"\n[deltas]\nabc = { severity = 0, outcome = "S", state = "gone" }', "$.state"),
        ('version = "1"\n[deltas]\nabc = { severity = 0, outcome = "S", lambda = "X" }', "$.deltas.abc.lambda"),
        ('version = "1"\n[deltas]\nabc = { severity = 0, outcome = "S", seam = "x" }', "$.deltas.abc.seam"),
        ('version = "1"\n[deltas]\nabc = { severity = 0, outcome = "S", depth = 3 }', "depth"),
    ],
)
def test_a_registry_that_cannot_be_is_refused_with_the_place(text, message):
    with pytest.raises(RegistryError) as error:
        load_registry(text)
    assert message in str(error.value)


def test_what_the_names_of_an_event_mean_comes_from_the_event_and_else_from_the_row():
    registry = builtin_registry()
    for _ in range(2):  # the second time from memory
        assert [
            registry.meaning("connection_failed", None, None),
            registry.meaning("connection_failed", "wait_and_see", "billing_edge"),
            registry.meaning("never_heard_of", "wait_and_see", None),
            registry.meaning("never_heard_of", "wait_and_see", "billing_edge"),
        ] == [
            (True, "connection_failed", "attempt_reconnection_with_backoff", N, 3, 0.8),
            (True, "connection_failed", "wait_and_see", "billing_edge", 3, 0.8),
            (False, "never_heard_of", "wait_and_see", GO, None, None),
            (False, "never_heard_of", "wait_and_see", "billing_edge", None, None),
        ]


@pytest.mark.parametrize(
    ("delta", "lambda_", "seam_id"),
    [
        ("never_heard_of", None, None),
        ("", "wait_and_see", N),
        ("connection_lost\n", "wait_and_see", N),
        ("connection_lost", "", N),
        ("connection_lost", "Wait", N),
        ("connection_lost", "wait_and_see", ""),
        ("connection_lost", None, "s" * 65),
    ],
)
def test_names_that_are_none_mean_nothing(delta, lambda_, seam_id):
    assert builtin_registry().meaning(delta, lambda_, seam_id) is None


def test_meanings_are_kept_within_bounds_and_by_their_own_registry():
    registry = load_registry(
        'version = "1"\n[deltas]\nabc = { severity = 0, outcome = "S", dimension = 7, omega = 0.25 }'
    )
    for number in range(5000):
        assert registry.meaning("abc", None, f"seam_{number}") == (
            True,
            "abc",
            "continue_monitoring",
            f"seam_{number}",
            7,
            0.25,
        )
        assert len(registry.meanings) <= 4096
    assert builtin_registry().meaning("abc", None, None) is None
    assert registry == load_registry(
        'version = "1"\n[deltas]\nabc = { severity = 0, outcome = "S", dimension = 7, omega = 0.25 }'
    )
