"""The loop of the drift collector: evaluate, keep the last result, follow models.yaml.

One thread asks Prometheus; a scrape only reads what it left, so a slow Prometheus never makes a
scrape slow.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, get_args

from contract import catalog, logs
from contract.quantity import Duration
from contract.spec import Spec
from exporters.drift.answers import LastAnswers
from exporters.drift.cycle import Cycle
from exporters.drift.evaluate import SEVERITIES, Evaluation
from exporters.drift.families import Labels
from exporters.drift.layout import Layout, read_layout
from exporters.drift.prometheus import PrometheusError, prometheus_of
from exporters.drift.promises import promises
from exporters.drift.quality import Judged, Quality
from exporters.drift.rows import Together
from exporters.drift.versions.cycle import Compared, Versions
from exporters.drift.window import Reason
from exporters.expose import Family, Own, series
from exporters.expose.follow import LOOK, Follower

__all__ = ["KEPT_INTERVALS", "Collector", "EvaluationError"]

log = logs.logger()

KEPT_INTERVALS: Final = 3
"""Results older than so many intervals are withdrawn: a score that nobody confirms any more must
not look like one of now."""

LEAST_TIME: Final = 10.0
"""Seconds that an evaluation has even where the interval is shorter (tests, game days): on a busy
machine it would never end in time."""

REASONS: Final = get_args(Reason)


_LASTING: Final[tuple[Reason, ...]] = ("bins", "reference")
"""Reasons of which every model has its own, and which last until somebody mends them."""


class EvaluationError(Exception):
    """An evaluation in which Prometheus did not answer for every model."""


class _Watched:
    """One reading of models.yaml: what follows from it until the next."""

    def __init__(self, spec: Spec, started: float) -> None:
        self.spec = spec
        self.layout: Layout = read_layout(spec)
        self.cycle = Cycle(spec, self.layout)
        self.together = Together(spec)
        self.labels = Labels(self.layout)
        self.quality = Quality(spec, self.layout)
        self.versions = Versions(spec)
        self.promises = (*promises(spec), *self.quality.promises())
        self.evaluated = dict.fromkeys((model.key for model in self.layout.models), started)
        """When each model was last evaluated; before that, since when it should be: an age then
        says for how long nothing has been known of it, and its alert works from the start."""


class Collector:
    """Evaluates all models every interval; `families` gives what a scrape shows.

    `read` reads models.yaml anew (raises ProblemsError); `files` are those whose change means it
    should.
    """

    def __init__(
        self,
        read: Callable[[], Spec],
        models: Path,
        *,
        own: Own,
        interval: Duration,
        url: str | None = None,
    ) -> None:
        """Read models.yaml for the first time.

        Raises ProblemsError, ProfileError, or PrometheusError for access that cannot be.
        """
        self._models = models
        self._own = own
        self._interval = interval
        self._url = url
        self._follower = Follower(lambda: _Watched(read(), time.time()), self._files, own=own)
        self._watched = self._follower.newest
        self.answers = LastAnswers(self._watched.spec, self._watched.layout)
        self._result: tuple[tuple[Family, ...], float] | None = None
        self._errors: dict[tuple[str, str, str], int] = {}
        self._silence = ""
        self._failing: dict[Reason, dict[tuple[str, str], str]] = {}
        self._drifted: set[tuple[str, str, str, str]] = set()
        self._worse: set[tuple[str, str, str, str]] = set()
        self._reached = False
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._prometheus = prometheus_of(self._watched.spec, url)
        self._thread = threading.Thread(target=self._run, name="evaluate", daemon=True)

    @property
    def interval(self) -> float:
        """Seconds between two evaluations, as the time scale has them."""
        return max(1.0, self._watched.spec.clock(self._interval).seconds)

    def start(self) -> None:
        """Evaluate in the background from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a query that is under way is left behind."""
        self._stop.set()
        self._thread.join(1)

    def request_reload(self) -> None:
        """Read models.yaml again soon; safe in a signal handler."""
        self._follower.request()

    def ready(self) -> str:
        """Why there is nothing to show yet, or an empty text."""
        if self._reached:
            return ""
        return f"no evaluation yet: Prometheus at {self._prometheus.url} has not answered"

    def families(self) -> Iterator[Family]:
        """What a scrape shows. Never asks Prometheus."""
        with self._lock:
            watched, result = self._watched, self._result
            errors = dict(self._errors)
            evaluated = dict(watched.evaluated)
        yield from watched.promises
        if result is not None and time.monotonic() - result[1] <= KEPT_INTERVALS * self.interval:
            yield from result[0]
        yield from watched.together.families()
        yield Family(
            catalog.DRIFT_EVALUATION_TIMESTAMP,
            [
                (
                    series(
                        catalog.DRIFT_EVALUATION_TIMESTAMP, model_name=name, model_version=version
                    ),
                    moment,
                )
                for (name, version), moment in evaluated.items()
            ],
        )
        yield Family(
            catalog.DRIFT_ERRORS,
            [
                (
                    series(
                        catalog.DRIFT_ERRORS, model_name=name, model_version=version, reason=reason
                    ),
                    errors.get((name, version, reason), 0),
                )
                for name, version in evaluated
                for reason in REASONS
            ],
        )

    def _run(self) -> None:
        due, pause = 0.0, LOOK
        while not self._stop.is_set():
            if self._follow():
                due = 0.0
            if time.monotonic() >= due:
                began = time.monotonic()
                if self._try():
                    pause = LOOK
                    due = began + self.interval
                else:
                    # Soon again at first, so that a stack that starts is whole as soon as it can.
                    due = time.monotonic() + min(pause, self.interval)
                    pause *= 2
            self._stop.wait(max(0.05, min(LOOK, due - time.monotonic())))
        self._prometheus.close()

    def _try(self) -> bool:
        """One evaluation; whatever it dies of is logged, and the next one tries again."""
        try:
            self.evaluate_once()
        except EvaluationError:
            return False
        except Exception:  # the thread must outlive a bug; `collect` counts it
            log.exception("evaluation_failed")
            return False
        return True

    def evaluate_once(self) -> None:
        """Ask, compare, keep. Raises EvaluationError where Prometheus did not answer."""
        with self._own.collecting():
            deadline = time.monotonic() + max(self.interval, LEAST_TIME)
            ask, now = self._prometheus.query_raw, time.time()
            evaluation = self._watched.cycle.evaluate(ask, now, deadline=deadline)
            judged = self._watched.quality.evaluate(evaluation, ask, deadline=deadline)
            compared = self._watched.versions.evaluate(ask, now, deadline=deadline)
            self._keep(evaluation, judged, compared)
            self._compare_rows(deadline)
            failures = (
                *evaluation.failures.values(),
                *judged.failures.values(),
                *compared.failures.values(),
            )
            silent = [f for f in failures if f.reason == "prometheus"]
            if silent:
                raise EvaluationError(silent[0].text)

    def _keep(self, evaluation: Evaluation, judged: Judged, compared: Compared) -> None:
        models = evaluation.layout.models
        failures = {models[number].key: f for number, f in evaluation.failures.items()}
        silent = {f.text for f in failures.values() if f.reason == "prometheus"}
        unanswered = sum(f.reason == "prometheus" for f in failures.values())
        # Where nothing answered the last result stays, until it is too old to show.
        answered = unanswered < len(models) or not models
        families: tuple[Family, ...] = ()
        if answered:
            shown = self._watched.labels.families(evaluation, judged.concept)
            families = (*shown, *judged.families, *compared.families)
        with self._lock:
            for key, failure in ({**compared.failures} | judged.failures | failures).items():
                counter = (*key, failure.reason)
                self._errors[counter] = self._errors.get(counter, 0) + 1
            for model in models:
                if model.key not in failures:
                    self._watched.evaluated[model.key] = evaluation.time
            if answered:
                self._result = (families, time.monotonic())
                self._reached = True
        self._tell_silence("; ".join(sorted(silent)), unanswered)
        if answered:
            if (held := self._watched.cycle.held) is not None:
                self.answers.keep(evaluation, held, judged)
            for reason in _LASTING:
                every = judged.failures | failures
                own = {key: f.text for key, f in every.items() if f.reason == reason}
                self._tell_failing(reason, own)
            self._tell_drift(evaluation)
            self._tell_worse(compared)

    def _compare_rows(self, deadline: float) -> None:
        """Hold samples of rows against the reference's, where models.yaml asks for it."""
        failed = self._watched.together.evaluate(deadline=deadline)
        with self._lock:
            for key in failed:
                self._errors[*key, "rows"] = self._errors.get((*key, "rows"), 0) + 1

    def _tell_silence(self, reason: str, models: int) -> None:
        """Log that Prometheus fails, once, and that it answers again."""
        if reason and reason != self._silence:
            log.warning("prometheus_failed", reason=reason, models=models)
        elif self._silence and not reason:
            log.info("prometheus_answers", url=self._prometheus.url)
        self._silence = reason

    def _tell_failing(self, reason: Reason, failing: dict[tuple[str, str], str]) -> None:
        """Log which models cannot be compared, once each: other bins, or no reference."""
        known = self._failing.get(reason, {})
        for (name, version), text in failing.items():
            if known.get((name, version)) != text:
                said = "bins_differ" if reason == "bins" else "no_reference"
                log.error(said, model=name, version=version, reason=text)
        for name, version in known.keys() - failing.keys():
            said = "bins_agree" if reason == "bins" else "reference_known"
            log.info(said, model=name, version=version)
        self._failing[reason] = failing

    def _tell_drift(self, evaluation: Evaluation) -> None:
        layout, evaluated = evaluation.layout, evaluation.evaluated()
        drifted = set()
        for severity in SEVERITIES:
            for number in (evaluation.detected[severity] & evaluated).nonzero()[0].tolist():
                row = layout.rows[number]
                model = layout.models[row.model]
                what = row.name or f"the {row.kind}"
                drifted.add(event := (*model.key, what, severity))
                if event not in self._drifted:
                    log.info(
                        "drift_detected",
                        model=model.name,
                        version=model.version,
                        feature=what,
                        severity=severity,
                        score=round(float(evaluation.score[number]), 4),
                        noise_floor=round(float(evaluation.floor[number]), 4),
                        samples=int(evaluation.samples[number]),
                    )
        for name, version, feature, severity in self._drifted - drifted:
            log.info("drift_ended", model=name, version=version, feature=feature, severity=severity)
        self._drifted = drifted

    def _tell_worse(self, compared: Compared) -> None:
        """Log what became worse with a version, once."""
        worse = set()
        for pair in compared.pairs:
            for aspect in pair.aspects:
                if not aspect.worse:
                    continue
                worse.add(event := (*pair.newer.key, pair.older.version, aspect.name))
                if event not in self._worse:
                    log.warning(
                        "version_worse",
                        model=pair.newer.name,
                        version=pair.newer.version,
                        baseline=pair.older.version,
                        aspect=aspect.name,
                        newer=round(aspect.newer, 4),
                        older=round(aspect.older, 4),
                        newer_samples=round(aspect.newer_samples),
                        older_samples=round(aspect.older_samples),
                        p_value=aspect.p_value,
                    )
        for name, version, baseline, aspect_name in self._worse - worse:
            log.info(
                "version_no_longer_worse",
                model=name,
                version=version,
                baseline=baseline,
                aspect=aspect_name,
            )
        self._worse = worse

    def _connect(self, spec: Spec) -> None:
        """Ask the Prometheus that models.yaml names now."""
        try:
            prometheus = prometheus_of(spec, self._url)
        except PrometheusError as error:
            log.error("prometheus_access_refused", reason=str(error))
            return
        self._prometheus.close()
        self._prometheus = prometheus

    def _files(self, watched: _Watched) -> list[Path]:
        """The files whose change means another reading."""
        spec = watched.spec
        profiles = [spec.path(model.profile) for model in spec.models if model.profile is not None]
        return [self._models, *profiles]

    def _follow(self) -> bool:
        """Take over a changed models.yaml; a broken one is logged and the old one stays."""
        if not self._follower.look():
            return False
        watched = self._follower.newest
        with self._lock:
            known = self._watched.evaluated
            watched.evaluated |= {key: known[key] for key in watched.evaluated if key in known}
            self._watched, self._result = watched, None
        self.answers.follow(watched.spec, watched.layout)
        self._connect(watched.spec)
        log.info("models_read", file=str(self._models), models=len(watched.spec.models))
        return True
