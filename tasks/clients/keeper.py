"""Whether a call may pass the gate, and what its end means for those that come after it. Blocking: for threads.

The allowance of the minute is asked first and the database last, so that nothing comes between the look at the job's
row and the call. Whoever may not pass gets back what was charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from schema.errors import CoursewrightError, Transient, Unavailable
from schema.settings import ModelSettings
from storage.db import Database
from storage.engine.leases import Lease
from storage.spending import brakes, calls
from storage.spending.brakes import FAILURES_TO_OPEN
from storage.spending.calls import Beginning
from tasks.clients.budget import Budgets
from tasks.clients.loop import Abandoned
from tasks.clients.record import Usage

if TYPE_CHECKING:
    from storage.spending.allowances import Allowances, Taken

#: The longest wait of a call at the gate, in seconds, all its waits together: it holds a worker's thread meanwhile.
PATIENCE_SECONDS = 5.0
#: How soon to look again while another call tries whether the endpoint is back, or while the database is away.
LOOK_AGAIN_SECONDS = 0.25
#: For how long nobody calls after a 429 that named no time; the retries of the jobs grow longer by themselves.
UNNAMED_SECONDS = 2.0
#: Nobody is kept from calling for longer than a day, whatever an endpoint says.
LONGEST_SECONDS = 86_400.0
#: A trial is renewed for as long as its call goes on. One that was not renewed for so long has died with its process.
RENEW_SECONDS = 10.0
_TRIAL_SECONDS = 30.0
_VENDOR_URL = "https://api.openai.com/v1"
#: Errors that say the endpoint itself is broken. Every other answer, a refusal too, shows that it lives.
_FAILING = frozenset({"model_unavailable", "model_timeout"})
_WORDS: Mapping[str, str] = {
    "rate_limited": "The model endpoint asks for fewer calls to {model}. The job goes on when it may be called again.",
    "failing": "The model endpoint is in trouble, so {model} is not called for a while. The job goes on by itself.",
    "allowance": "The calls or tokens a minute allowed for {model} are used up. The job goes on when there are more.",
}

log = structlog.get_logger(__name__)


def braked(model: str, reason: str, seconds: float) -> Transient:
    """The job must wait, though it did nothing wrong."""
    words = _WORDS.get(reason, _WORDS["failing"]).format(model=model)  # newer code may know more reasons
    return Transient(words, code="model_braked", retry_after=seconds, details={"model": model, "reason": reason})


@dataclass
class Passage:
    """A call that may be made. ``usage`` is filled in by the call."""

    model: str
    trial: datetime | None
    taken: Taken | None
    call_id: UUID | None = None
    usage: Usage | None = None


@dataclass(frozen=True)
class Wait:
    """Not now, but perhaps in ``seconds``. ``error`` is what the job meets when it can't wait here for so long."""

    seconds: float
    error: CoursewrightError


class Keeper:
    """Keeps the gate of one process to the endpoint of ``settings``."""

    def __init__(self, db: Database, settings: ModelSettings, allowances: Allowances | None) -> None:
        self._db = db
        self._endpoint = brakes.endpoint_of(settings.base_url or _VENDOR_URL)
        self._allowances = allowances
        self._budgets = Budgets(db)
        #: Models that have failures on their brake, as far as is known here: a success of any other writes nothing.
        self._failing: set[str] = set()

    def ask(self, lease: Lease | None, call: Beginning, tokens: int) -> Passage | Wait:
        """Whether this call for the job of ``lease`` (none: for no job) may be made now. When it may, it is written
        down as begun.

        Raises ``Abandoned`` when the job isn't ours any more, and ``Permanent`` (``budget_spent``) when its
        organization has no money left for today."""
        if lease is not None:
            try:
                self._budgets.check(lease.organization_id)
            except Unavailable as error:
                return Wait(LOOK_AGAIN_SECONDS, error)
        if self._allowances is None:
            return self._look(lease, call, None)
        model = call.model
        taken = self._allowances.take(self._endpoint, model, lease.organization_id if lease else None, tokens)
        if isinstance(taken, float):
            return Wait(taken, braked(model, "allowance", taken))
        answer: Passage | Wait | None = None
        try:
            answer = self._look(lease, call, taken)
        finally:
            if not isinstance(answer, Passage):
                self._allowances.give_back(taken)
        return answer

    def _look(self, lease: Lease | None, call: Beginning, taken: Taken | None) -> Passage | Wait:
        model = call.model
        try:
            seen = brakes.look(self._db, self._endpoint, model, lease, _TRIAL_SECONDS)
        except Unavailable as error:
            return Wait(LOOK_AGAIN_SECONDS, error)
        (self._failing.add if seen.failures else self._failing.discard)(model)
        if not seen.ours:
            raise Abandoned
        if seen.closed_seconds > 0:
            return Wait(seen.closed_seconds, braked(model, seen.reason, seen.closed_seconds))
        if seen.others_try:
            return Wait(LOOK_AGAIN_SECONDS, braked(model, "failing", PATIENCE_SECONDS))
        passage = Passage(model, seen.trial, taken)
        if lease is not None:
            try:
                calls.started(self._db, lease, call)
                passage.call_id = call.call_id
            except Unavailable as error:
                self.let_go(passage)
                return Wait(LOOK_AGAIN_SECONDS, error)
        return passage

    def has_to_note(self, passage: Passage, error: CoursewrightError | None) -> bool:
        """Whether the end of a call has to be noted at all. That of most has not."""
        told = error is not None and (error.code in _FAILING or error.code == "model_rate_limited")
        return told or passage.trial is not None or passage.taken is not None or passage.model in self._failing

    def note(self, passage: Passage, error: CoursewrightError | None) -> None:
        """Note how a call ended, for all that come after it."""
        used = passage.usage and (passage.usage.input_tokens, passage.usage.output_tokens)
        if self._allowances is not None and passage.taken is not None and used and any(used):
            self._allowances.settle(passage.taken, sum(count or 0 for count in used))
        try:
            self._note_on_brake(passage, error)
        except Unavailable:
            # The call's own result counts for more; a trial frees itself in time.
            log.warning("brake_not_noted", model=passage.model)

    def _note_on_brake(self, passage: Passage, error: CoursewrightError | None) -> None:
        model, trial = passage.model, passage.trial
        if isinstance(error, Transient) and error.code == "model_rate_limited":
            asked = UNNAMED_SECONDS if error.retry_after is None else min(error.retry_after, LONGEST_SECONDS)
            brakes.close(self._db, self._endpoint, model, asked, trial)
            log.warning("model_brake_closed", model=model, seconds=asked)
        elif error is not None and error.code in _FAILING:
            self._failing.add(model)
            if brakes.failed(self._db, self._endpoint, model, trial) >= FAILURES_TO_OPEN:
                log.warning("model_breaker_opened", model=model, error=error.code)
        elif trial is not None or model in self._failing:
            brakes.succeeded(self._db, self._endpoint, model)
            if trial is not None:
                log.info("model_breaker_closed", model=model)

    def renew(self, passage: Passage) -> None:
        """The call of a passage goes on."""
        if passage.trial is not None:
            try:
                brakes.renew(self._db, self._endpoint, passage.model, passage.trial)
            except Unavailable:
                log.warning("brake_not_noted", model=passage.model)

    def let_go(self, passage: Passage) -> None:
        """A call was given up before it showed whether the endpoint lives."""
        if passage.trial is not None:
            try:
                brakes.let_go(self._db, self._endpoint, passage.model, passage.trial)
            except Unavailable:
                log.warning("brake_not_noted", model=passage.model)

    def undo(self, passage: Passage) -> None:
        """A call that might pass was never made."""
        if self._allowances is not None and passage.taken is not None:
            self._allowances.give_back(passage.taken)
        self.let_go(passage)
        if passage.call_id is not None:
            try:
                calls.forget(self._db, passage.call_id)
            except Unavailable:
                log.warning("call_not_forgotten", model=passage.model)

    def close(self) -> None:
        if self._allowances is not None:
            self._allowances.close()
