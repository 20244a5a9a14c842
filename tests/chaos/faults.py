"""What is done to the running system, by kind. Each fault undoes what it can undo before it ends."""

from __future__ import annotations

import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil
import psycopg2
from redis.exceptions import RedisError

from tests.chaos.load import Load
from tests.chaos.model import FAULTS, Model
from tests.chaos.plan import Fault
from tests.chaos.system import System, frozen, until
from tests.chaos.twice import doubling

#: How many calls in a row meet a fault when the model is faulty.
_FAULTY_CALLS = 4
_WHERE: tuple[dict[str, str], ...] = ({}, {"purpose": "items"}, {"purpose": "study_text"})
#: How long a victim is watched for a job in its hands before it is killed all the same, in seconds.
_CATCH_WITHIN = 2.0
#: How often a fault that finds no victim is tried again.
_TRIES = 8


@dataclass
class Done:
    """A fault as it happened, in Unix time. ``woken`` is when a process that was stopped was let go on, ``held`` are
    the jobs that were in the victim's hands. ``skipped`` says why it could not be done, ``broken`` what went wrong with
    it that nobody had thought of."""

    kind: str
    began: float
    ended: float = 0.0
    woken: float = 0.0
    victim: str = ""
    held: list[str] = field(default_factory=list)
    skipped: str = ""
    broken: str = ""

    @property
    def happened(self) -> bool:
        return not self.skipped and not self.broken


class Attack:
    """Carries out a plan of faults against a system under load. ``done`` is what happened."""

    def __init__(self, system: System, model: Model, load: Load) -> None:
        self._system = system
        self._model = model
        self._load = load
        self.done: list[Done] = []
        self.doubled: Counter[str] = Counter()
        self._kinds: dict[str, Callable[[Fault, Done], None]] = {
            "worker killed": self._worker_killed,
            "media killed": lambda _, done: self._kill("media", done),
            "media child killed": lambda fault, done: self._child_killed("media", fault, done),
            "beat killed": lambda _, done: self._kill("beat", done),
            "control killed": lambda _, done: self._kill("control", done),
            "web killed": self._web_killed,
            "web worker killed": lambda fault, done: self._child_killed("web", fault, done),
            "web killed before send": self._web_killed_before_send,
            "worker stopped": self._worker_stopped,
            "valkey killed": lambda _, done: self._kill("valkey", done),
            "valkey emptied": self._valkey_emptied,
            "valkey flushed": self._valkey_flushed,
            "messages doubled": self._messages_doubled,
            "two beats": self._two_beats,
            "postgres killed": lambda _, done: self._postgres_away(signal.SIGKILL, done),
            "postgres restarted": lambda _, done: self._postgres_away(signal.SIGINT, done),
            "store killed": lambda _, done: self._kill("s3", done),
            "store stopped": lambda fault, done: self._stopped("s3", fault, done),
            "model stopped": self._model_stopped,
            "model faulty": self._model_faulty,
        }

    def carry_out(self, plan: list[Fault], seconds: float) -> None:
        """Do each fault at its time, side by side when they last, and return when all are over."""
        began = time.monotonic()
        running = []
        for fault in plan:
            time.sleep(max(0.0, began + fault.at - time.monotonic()))
            thread = threading.Thread(target=self._do, args=(fault,), name=f"fault {fault.kind}")
            thread.start()
            running.append(thread)
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        for thread in running:
            thread.join()
        self._model.forgive()

    def _do(self, fault: Fault) -> None:
        done = Done(fault.kind, time.time())
        self.done.append(done)
        for _ in range(_TRIES):
            done.skipped = ""
            try:
                self._kinds[fault.kind](fault, done)
                break
            except (psutil.Error, RedisError, TimeoutError) as error:
                # Another fault was faster, or the victim is still coming up from the last one.
                done.skipped = str(error) or type(error).__name__
                time.sleep(0.5)
            except Exception as error:  # noqa: BLE001 - it would end this thread unseen, and count as done
                done.broken = f"{type(error).__name__}: {error}"
                break
        done.ended = time.time()

    # --- processes of the app -----------------------------------------------------------------------------------

    def _kill(self, name: str, done: Done) -> None:
        victim = self._system.process(name)
        done.began, done.victim = time.time(), name
        victim.kill()

    def _worker_killed(self, fault: Fault, done: Done) -> None:
        with self._caught_at_work(fault, done) as victim:
            victim.kill()

    def _worker_stopped(self, fault: Fault, done: Done) -> None:
        with self._caught_at_work(fault, done):
            time.sleep(fault.lasting)

    @contextmanager
    def _caught_at_work(self, fault: Fault, done: Done) -> Iterator[psutil.Process]:
        """A worker that holds a job, after a while any worker. It stands still while it is looked at, so what is
        written down as held is what it holds."""
        names = ["worker", "worker2"] if fault.luck < 0.5 else ["worker2", "worker"]
        victims = {name: self._system.process(name) for name in names}
        done.held = []

        def look() -> bool:
            for name, victim in victims.items():
                if self._note_held(victim, done):
                    done.victim = name
                    return True
            return False

        if not until(look, _CATCH_WITHIN):
            done.victim = names[0]
        victim = victims[done.victim]
        with self._frozen(victim, done):
            self._note_held(victim, done)
            yield victim

    def _note_held(self, victim: psutil.Process, done: Done) -> list[str]:
        """What a worker holds. While the database is away that is what it held before."""
        with suppress(psycopg2.Error):
            done.held = [str(job) for (job,) in self._system.rows(_HELD, f"%:{victim.pid}:%")]
        return done.held

    @contextmanager
    def _frozen(self, victim: psutil.Process, done: Done) -> Iterator[None]:
        done.began = time.time()
        with frozen(victim):
            yield
            done.woken = time.time()

    def _child_killed(self, name: str, fault: Fault, done: Done) -> None:
        parent = self._system.process(name)
        until(parent.children, 5)
        children = parent.children()
        if not children:
            raise TimeoutError(f"{name} has no child just now")
        done.began, done.victim = time.time(), f"a child of {name}"
        children[int(fault.luck * len(children))].kill()

    def _web_killed(self, _: Fault, done: Done) -> None:
        self._kill_web(self._system.process("web"), done)

    def _kill_web(self, master: psutil.Process, done: Done) -> None:
        done.began, done.victim = time.time(), "web"
        master.suspend()  # so that it starts no new worker meanwhile
        for process in [*master.children(), master]:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _web_killed_before_send(self, _: Fault, done: Done) -> None:
        """With the broker stopped, a 202 means: committed, marked as sent, and not sent."""
        master = self._system.process("web")
        with frozen(self._system.process("valkey")):
            asked = self._load.ask_now()
            self._kill_web(master, done)
        if asked.job_id is not None:
            done.held = [asked.job_id]
        self._load.ask_later(asked)

    def _two_beats(self, fault: Fault, done: Done) -> None:
        done.victim = "beat2"
        self._system.keeper.keep(self._system.twin("beat", "beat2"))
        time.sleep(fault.lasting)
        self._system.keeper.drop("beat2")

    # --- servers ------------------------------------------------------------------------------------------------

    def _stopped(self, name: str, fault: Fault, done: Done) -> None:
        done.victim = name
        with self._frozen(self._system.process(name), done):
            time.sleep(fault.lasting)

    def _postgres_away(self, how: signal.Signals, done: Done) -> None:
        """The fault lasts until the database answers again."""
        victim = self._system.process("postgres")
        done.began, done.victim = time.time(), "postgres"
        victim.send_signal(how)
        with suppress(psutil.TimeoutExpired):
            victim.wait(30)  # or it would seem to answer again before it has gone
        until(self._system.database_answers, 30)

    def _valkey_emptied(self, _: Fault, done: Done) -> None:
        self._kill("valkey", done)
        shutil.rmtree(self._system.home / "valkey" / "appendonlydir", ignore_errors=True)

    def _valkey_flushed(self, _: Fault, done: Done) -> None:
        done.victim = "valkey"
        self._system.redis.flushall()

    def _messages_doubled(self, fault: Fault, done: Done) -> None:
        done.victim = "the broker's queues"
        with doubling(self._system.settings.redis_url) as doubler:
            time.sleep(fault.lasting)
        self.doubled += doubler.counts

    # --- the model ----------------------------------------------------------------------------------------------

    def _model_stopped(self, fault: Fault, done: Done) -> None:
        done.victim = "model"
        with self._frozen(self._model.process, done):
            time.sleep(fault.lasting)

    def _model_faulty(self, fault: Fault, done: Done) -> None:
        draw = random.Random(fault.luck)
        # Some meet whichever call is next; some one part of a course among others that go well.
        chosen = [draw.choice(FAULTS) | draw.choice(_WHERE) for _ in range(_FAULTY_CALLS)]
        done.victim = ", ".join(" of ".join([one["fault"], *one.get("purpose", "").split()]) for one in chosen)
        if not self._model.script(chosen):
            raise TimeoutError("the model doesn't answer just now")


_HELD = """SELECT l.job_id FROM job_leases l JOIN jobs j ON j.id = l.job_id
WHERE l.holder || ':' LIKE %s AND j.status = 'processing' AND j.due_at IS NULL"""
