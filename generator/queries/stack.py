"""What the stack's own dashboard asks: is the watching itself well, and what does it cost?"""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.catalog import Metric
from generator.queries import recorded
from generator.queries.alerting.stack import WATCHDOG
from generator.queries.selection import (
    ALERTS,
    ALERTS_SINCE,
    FIRING,
    LOUD,
    ON_MODEL,
    RATE_INTERVAL,
    UP,
    with_matchers,
)

__all__ = [
    "FOREIGN",
    "OLDEST_SAMPLE",
    "STARTING",
    "alerting_works",
    "alertmanager_failed",
    "alertmanager_sent",
    "alerts",
    "collection_age",
    "collection_duration",
    "collection_success",
    "cpu",
    "cpu_by_exporter",
    "drift_age",
    "drift_errors",
    "dropped",
    "events",
    "exporter_errors",
    "failed_notifications",
    "failed_rules",
    "head_series",
    "log_bytes",
    "log_failures",
    "log_pending",
    "memory",
    "memory_by_exporter",
    "missed_rules",
    "notifications",
    "oldest_drift_evaluation",
    "process_cpu",
    "process_memory",
    "proxy",
    "rejected",
    "rules_of_interval",
    "samples",
    "samples_by_job",
    "scrape_seconds_by_job",
    "slowest_rules_of_interval",
    "spec_in_force",
    "undelivered",
]

SCRAPE_SECONDS: Final = "scrape_duration_seconds"
SCRAPED_SAMPLES: Final = "scrape_samples_scraped"
RULE_SECONDS: Final = "prometheus_rule_group_last_duration_seconds"
RULE_INTERVAL: Final = "prometheus_rule_group_interval_seconds"
RULE_MISSED: Final = "prometheus_rule_group_iterations_missed_total"
RULE_FAILURES: Final = "prometheus_rule_evaluation_failures_total"
OLDEST_SAMPLE: Final = "prometheus_tsdb_lowest_timestamp_seconds"
HEAD_SERIES: Final = "prometheus_tsdb_head_series"
APPENDED: Final = "prometheus_tsdb_head_samples_appended_total"
UNDELIVERED: Final = "prometheus_notifications_dropped_total"
SENT: Final = "alertmanager_notifications_total"
SENDING_FAILED: Final = "alertmanager_notifications_failed_total"
PROCESS_START: Final = "process_start_time_seconds"
PROCESS_CPU: Final = "process_cpu_seconds_total"
PROCESS_MEMORY: Final = "process_resident_memory_bytes"

FOREIGN: Final = (
    SCRAPE_SECONDS,
    SCRAPED_SAMPLES,
    RULE_SECONDS,
    RULE_INTERVAL,
    RULE_MISSED,
    RULE_FAILURES,
    HEAD_SERIES,
    APPENDED,
    UNDELIVERED,
    SENT,
    SENDING_FAILED,
    PROCESS_START,
    PROCESS_CPU,
    PROCESS_MEMORY,
)
"""Series of Prometheus and Alertmanager about themselves."""

_TOP: Final = 6
_SERVERS: Final = 'job=~"prometheus|alertmanager"'
_HOUR: Final = "1h"
_BY_EXPORTER: Final = "by (exporter, instance)"


def _rate(series: Metric | str, by: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({series}[{RATE_INTERVAL}]))"


# One number


STARTING: Final = 2
_STARTED: Final = 180
"""Only after its third evaluation does Prometheus say of a rule what it found, or found again."""


def alerting_works() -> str:
    """1 where the alert that always fires does, else 0; `STARTING` where it may not say so yet."""
    age = f'max(time() - {PROCESS_START}{{job="prometheus"}})'
    return (
        f'clamp_max(count({ALERTS}{{alertname="{WATCHDOG}", {FIRING}}}), 1)\n'
        f"or {STARTING} * ({age} < bool {_STARTED})\n"
        # Before it has scraped itself: there was nothing then.
        f"or {STARTING} * absent({UP} offset {_STARTED}s)\nor vector(0)"
    )


def rules_of_interval() -> str:
    """The slowest group of rules: its duration as a share of its interval. Above 1 it lags."""
    return f"max({RULE_SECONDS} / {RULE_INTERVAL})"


def failed_rules() -> str:
    """Rules that failed in the last hour."""
    return f"sum(increase({RULE_FAILURES}[{_HOUR}]))"


def failed_notifications() -> str:
    """Notifications of the last hour that Alertmanager could not send, or we not take or write."""
    return (
        f"sum(increase({SENDING_FAILED}[{_HOUR}])"
        f" or increase({catalog.NOTIFICATIONS_FAILED}[{_HOUR}])) or vector(0)"
    )


def oldest_drift_evaluation() -> str:
    """Seconds since the model was evaluated whose drift was not for the longest time."""
    return f"time() - min({recorded.DRIFT_EVALUATED})"


def spec_in_force() -> str:
    """0 where an exporter refuses models.yaml as it is now, else 1."""
    return f"min({catalog.EXPORTER_SPEC_OK})"


# Each exporter: rows of the table


def collection_success() -> str:
    """Whether its last collection succeeded."""
    return f"min {_BY_EXPORTER} ({catalog.EXPORTER_COLLECTION_SUCCESS})"


def collection_age() -> str:
    """Seconds since it last collected."""
    age = f"clamp_min(time() - {catalog.EXPORTER_COLLECTION_TIMESTAMP}, 0)"
    return f"max {_BY_EXPORTER} ({age})"


def collection_duration() -> str:
    """Seconds that took."""
    return f"max {_BY_EXPORTER} ({catalog.EXPORTER_COLLECTION_DURATION})"


def cpu() -> str:
    """CPUs it uses."""
    return f"sum {_BY_EXPORTER} (rate({catalog.EXPORTER_CPU}[{RATE_INTERVAL}]))"


def memory() -> str:
    """Its resident memory."""
    return f"max {_BY_EXPORTER} ({catalog.EXPORTER_MEMORY})"


def exporter_errors() -> str:
    """Its errors in the last hour."""
    return f"sum {_BY_EXPORTER} (increase({catalog.EXPORTER_ERRORS}[{_HOUR}]))"


# Lists and lines


def alerts() -> str:
    """Alerts about the stack and not about a model, as the time (Unix, ms) they hold since."""
    own = with_matchers(ALERTS, 'model_name=""', LOUD)
    return f"{own} * ignoring (alertstate) group_left () {ALERTS_SINCE} * 1000"


def events() -> str:
    """Events that arrive at sidecars a second, by what became of them."""
    return _rate(catalog.SIDECAR_EVENTS, "result")


def rejected() -> str:
    """Events and requests refused a second, by reason."""
    return _rate(catalog.SIDECAR_REJECTED, "reason")


def dropped() -> str:
    """Events a second that clients threw away because they could not be sent in time."""
    return _rate(catalog.CLIENT_DROPPED)


def proxy() -> str:
    """Inference requests a second that were forwarded and not read, by reason."""
    return _rate(catalog.PROXY_UNREAD, "reason")


def log_pending() -> str:
    """What waits to be written to prediction logs."""
    return f"sum({catalog.SIDECAR_LOG_PENDING})"


def log_failures() -> str:
    """Groups of events a second that could not be written."""
    return _rate(catalog.SIDECAR_LOG_FAILURES)


def log_bytes() -> str:
    """Size of each prediction log, for the largest."""
    return _top("max by (instance)", str(catalog.SIDECAR_LOG_BYTES), "instance")


def cpu_by_exporter() -> str:
    """CPUs that exporters of each kind use."""
    return _rate(catalog.EXPORTER_CPU, "exporter")


def memory_by_exporter() -> str:
    """Memory of exporters of each kind."""
    return f"sum by (exporter) ({catalog.EXPORTER_MEMORY})"


def process_cpu() -> str:
    """CPUs that Prometheus and Alertmanager use."""
    return _rate(with_matchers(PROCESS_CPU, _SERVERS), "job")


def process_memory() -> str:
    """Memory of Prometheus and Alertmanager."""
    return f"sum by (job) ({with_matchers(PROCESS_MEMORY, _SERVERS)})"


def scrape_seconds_by_job() -> str:
    """The slowest scrape of each job, in seconds."""
    return _top("max by (job)", SCRAPE_SECONDS, "job")


def samples_by_job() -> str:
    """Series that a scrape of each job gives, for the largest."""
    return _top("sum by (job)", SCRAPED_SAMPLES, "job")


def slowest_rules_of_interval() -> str:
    """Groups of rules: duration as a share of the interval, for the slowest."""
    share = f"{RULE_SECONDS} / {RULE_INTERVAL}"
    most = f"max by (rule_group) (max_over_time({RULE_SECONDS}[$__range] @ end()))"
    groups = f"max by (rule_group) ({share}) and on (rule_group) topk({_TOP}, {most})"
    return f'label_replace({groups}, "group", "$1", "rule_group", ".+;(.+)")'


def missed_rules() -> str:
    """Evaluations of groups of rules that were skipped, a second."""
    return _rate(RULE_MISSED)


def head_series() -> str:
    """Series that Prometheus holds in memory."""
    return f"sum({HEAD_SERIES})"


def samples() -> str:
    """Samples that Prometheus takes in a second."""
    return _rate(APPENDED)


def undelivered() -> str:
    """Alerts a second that Prometheus could not hand to Alertmanager."""
    return _rate(UNDELIVERED)


def alertmanager_sent() -> str:
    """Notifications a second by the kind of receiver; those that never had any are left out."""
    return f"{_rate(SENT, 'integration')} and on (integration) {_total(SENT)} > 0"


def alertmanager_failed() -> str:
    """Those of them that failed."""
    return _rate(SENDING_FAILED)


def _total(series: str) -> str:
    return f"sum by (integration) (increase({series}[$__range] @ end()))"


def notifications() -> str:
    """Alerts a second that the responder was told of, by status."""
    return _rate(catalog.NOTIFICATIONS, "status")


def drift_age() -> str:
    """Seconds since each model's drift was evaluated, for the oldest."""
    seconds = f"time() - {recorded.DRIFT_EVALUATED}"
    oldest = f"bottomk({_TOP}, min_over_time({recorded.DRIFT_EVALUATED}[$__range] @ end()))"
    return f"{seconds} and {ON_MODEL} {oldest}"


def drift_errors() -> str:
    """Evaluations of drift a second that failed, by reason."""
    return _rate(catalog.DRIFT_ERRORS, "reason")


def _top(aggregate: str, series: str, by: str) -> str:
    most = f"{aggregate} (max_over_time({series}[$__range] @ end()))"
    return f"{aggregate} ({series}) and on ({by}) topk({_TOP}, {most})"
