"""The queue of spans and the thread that empties it.

What runs on the caller's thread is short: two clocks, a list, a deque. Whatever goes wrong in it is counted, and the
caller's own exceptions pass through unchanged.
"""

import atexit
import collections
import itertools
import logging
import os
import random
import threading
import time

from ._export import Exporter

_log = logging.getLogger("coulomb")

# Some minutes of a fast loop with three spans a step, in about 20 MB.
QUEUE_MAX = 50_000
# What a crash may lose.
FLUSH_SECONDS = 1.0
# A request of some hundred kilobytes.
BATCH_MAX = 2_000
# Waits after failures double up to here.
BACKOFF_SECONDS_MAX = 15.0
# At the exit of a process nobody waits longer.
EXIT_SECONDS = 2.0
MESSAGE_CHARS_MAX = 300

_here = threading.local()


def _open_spans():
    """Spans of this thread that have begun, the innermost last."""
    try:
        return _here.spans
    except AttributeError:
        _here.spans = []
        return _here.spans


class Span:
    """One `with`. Recorded when it ends, with the error that ended it if there was one."""

    __slots__ = ("name", "number", "tokens", "flops", "id", "parent", "step", "overlaps", "started_at", "started")

    def __init__(self, name, number=None, tokens=None, flops=None):
        self.name = name
        self.number = number
        self.tokens = tokens
        self.flops = flops
        self.id = 0

    def __enter__(self):
        recorder = Recorder.current
        if recorder is None:
            return self
        try:
            spans = _open_spans()
            outer = spans[-1] if spans else None
            if outer is None:
                self.parent = 0
                self.step = self.number
                # Beside the thread that trains, work is not the job's time.
                self.overlaps = self.number is None and threading.get_ident() != recorder.trains
            else:
                self.parent = outer.id
                self.step = outer.step if self.number is None else self.number
                # Time within a step is told apart; time within another phase is that phase's.
                self.overlaps = outer.overlaps or outer.name != "step"
            if self.number is not None:
                recorder.trains = threading.get_ident()
            self.id = next(recorder.ids)
            spans.append(self)
            self.started_at = time.time_ns()
            self.started = time.perf_counter_ns()
        except Exception:
            recorder.faults += 1
            self.id = 0
        return self

    def __exit__(self, kind, error, trace):
        if self.id == 0:
            return False
        took = time.perf_counter_ns() - self.started
        try:
            spans = _open_spans()
            while spans and spans.pop() is not self:
                pass
            recorder = Recorder.current
            if recorder is not None:
                said = None if kind is None else _said(kind, error)
                recorder.put(
                    (
                        self.name,
                        self.step,
                        self.tokens,
                        self.flops,
                        self.id,
                        self.parent,
                        self.overlaps,
                        self.started_at,
                        took,
                        said,
                    )
                )
        except Exception:
            recorder = Recorder.current
            if recorder is not None:
                recorder.faults += 1
        return False

    def add(self, tokens=None, flops=None):
        """What is known only once the step runs."""
        if tokens is not None:
            self.tokens = tokens
        if flops is not None:
            self.flops = flops


def _said(kind, error):
    try:
        text = str(error)
    except Exception:
        text = ""
    return kind.__name__, f"{kind.__name__}: {text}"[:MESSAGE_CHARS_MAX]


class Recorder:
    """The one of this process, if it was started."""

    current = None

    def __init__(self, settings, queue_max, flush_seconds):
        self.settings = settings
        self.queue_max = QUEUE_MAX if queue_max is None else max(1, int(queue_max))
        self.flush_seconds = FLUSH_SECONDS if flush_seconds is None else max(0.01, float(flush_seconds))
        self.described = {}
        self.trains = threading.get_ident()
        self.faults = 0
        self._renew()

    def _renew(self):
        """As in a process that has done nothing yet."""
        self.queue = collections.deque()
        self.ids = itertools.count(random.SystemRandom().getrandbits(62) + 1)
        self.recorded = self.dropped = self.sent = 0
        self.pid = os.getpid()
        self.wake = threading.Event()
        self.idle = threading.Event()
        self.ending = False
        self.thread = None
        self.exporter = None
        self.starting = threading.Lock()

    @classmethod
    def start(cls, settings, queue_max=None, flush_seconds=None):
        if cls.current is not None:
            cls.current.stop(EXIT_SECONDS)
        recorder = cls(settings, queue_max, flush_seconds)
        # Here and not on the thread: it imports, and a process that forks meanwhile would have a child that never can.
        recorder.exporter = Exporter(settings)
        cls.current = recorder
        recorder._run()
        return recorder

    def describe(self, attributes):
        known = {name: value for name, value in attributes.items() if value is not None}
        # Replaced and not changed: the thread may be reading it.
        self.described = {**self.described, **known}

    def put(self, record):
        self.recorded += 1
        if len(self.queue) >= self.queue_max:
            self.dropped += 1
            return
        self.queue.append(record)
        if self.thread is None:
            # A forked process has no threads but its own.
            self._run()

    def _run(self):
        with self.starting:
            if self.thread is None and not self.ending:
                thread = threading.Thread(target=self._work, name="coulomb", daemon=True)
                self.thread = thread
                thread.start()

    def _work(self):
        exporter, waiting, told, backoff = self.exporter, [], 0, 0.0
        while True:
            try:
                if exporter is None:
                    exporter = Exporter(self.settings)
                if not waiting:
                    self.wake.wait(self.flush_seconds)
                    self.wake.clear()
                    waiting = self._take()
                dropped = self.dropped
                if waiting:
                    if exporter.send(waiting, {**self.described}, dropped - told):
                        self.sent += len(waiting)
                        waiting, told, backoff = [], dropped, 0.0
                    else:
                        backoff = min(max(2 * backoff, 0.5), BACKOFF_SECONDS_MAX)
            except Exception as error:
                _log.debug("coulomb: spans could not be sent: %s: %s", type(error).__name__, error)
                # What cannot even be encoded would be tried for ever.
                self.dropped += len(waiting)
                waiting, backoff = [], 0.0
                if exporter is None:
                    self.wake.wait(BACKOFF_SECONDS_MAX)
            if not waiting and not self.queue:
                self.idle.set()
                if self.ending:
                    break
            elif backoff and waiting:
                if self.ending:
                    break
                self.wake.wait(backoff)
                self.wake.clear()
        if exporter is not None:
            exporter.close()

    def _take(self):
        taken = []
        while self.queue and len(taken) < BATCH_MAX:
            taken.append(self.queue.popleft())
        return taken

    def flush(self, timeout):
        self.idle.clear()
        self.wake.set()
        return self.idle.wait(timeout)

    def stop(self, timeout):
        self.ending = True
        self.wake.set()
        thread = self.thread
        if thread is not None and self.pid == os.getpid():
            thread.join(timeout)

    def stats(self):
        gone = self.sent + self.dropped
        return {
            "recorded": self.recorded,
            "sent": self.sent,
            "dropped": self.dropped,
            "waiting": max(0, self.recorded - gone),
        }


def _after_fork():
    """The child has spans of its own; those that wait are the parent's."""
    recorder = Recorder.current
    if recorder is not None:
        recorder._renew()
        # It is the parent that trains; what a child does beside it counts once it makes steps itself.
        recorder.trains = 0
        _here.spans = []


def _before_exit():
    """While threads may still be used, which the exporter does."""
    recorder = Recorder.current
    if recorder is not None and recorder.stats()["waiting"]:
        recorder.flush(EXIT_SECONDS)


def _at_exit():
    recorder = Recorder.current
    if recorder is not None:
        recorder.stop(EXIT_SECONDS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
try:
    # As the standard library's own executors do; without it spans of the last second are lost at the exit.
    import concurrent.futures.thread  # noqa: F401, so that ours runs before theirs

    threading._register_atexit(_before_exit)
except Exception:
    _log.debug("coulomb: this Python tells nobody before its threads end")
