"""Figures as Prometheus sees them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from storage.metrics import Figures


class RowCollector(Collector):
    """Shows figures read a moment ago."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures

    def collect(self) -> Iterator[Metric]:
        figures = self.figures
        jobs = GaugeMetricFamily("coursewright_jobs", "Jobs by status and kind.", labels=["status", "job_type"])
        for (status, kind), count in figures.jobs.items():
            jobs.add_metric([status, kind], count)
        yield jobs
        waiting = GaugeMetricFamily("coursewright_queue_depth", "Steps due and not begun.", labels=["queue"])
        oldest = GaugeMetricFamily(
            "coursewright_oldest_waiting_seconds", "Age of the step waiting longest.", labels=["queue"]
        )
        for queue, count in figures.waiting.items():
            waiting.add_metric([queue], count)
            oldest.add_metric([queue], figures.oldest_waiting[queue])
        yield waiting
        yield oldest
        yield GaugeMetricFamily(
            "coursewright_leases_without_heartbeat", "Leases not renewed for a minute.", figures.without_heartbeat
        )
        yield GaugeMetricFamily("coursewright_retries", "Retries of all jobs that are kept.", figures.retries)
        yield GaugeMetricFamily(
            "coursewright_catalogs_behind", "Catalogs whose file is older than they are.", figures.catalogs_behind
        )
        yield GaugeMetricFamily(
            "coursewright_documents_behind", "Documents not in the store as they are.", figures.documents_behind
        )
        labels = ["model", "outcome"]
        calls = CounterMetricFamily("coursewright_model_calls", "Calls to models.", labels=labels)
        tokens = CounterMetricFamily("coursewright_model_tokens", "Tokens.", labels=[*labels, "direction"])
        cost = CounterMetricFamily("coursewright_model_cost_usd", "Cost where the price is known.", labels=labels)
        for (model, outcome), (count, given, received, spent) in figures.calls.items():
            calls.add_metric([model, outcome], count)
            tokens.add_metric([model, outcome, "input"], given)
            tokens.add_metric([model, outcome, "output"], received)
            cost.add_metric([model, outcome], spent)
        yield calls
        yield tokens
        yield cost
