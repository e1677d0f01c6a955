"""Says what a training job does, as OpenTelemetry spans.

A step or a phase costs a few microseconds on the thread that runs it: it is put into a bounded queue, and a thread
of its own sends it. Nothing here can stop a job: without a server spans are dropped and counted, and before
`init` everything is a no-op.
"""

import logging

from . import _settings
from ._recorder import Recorder, Span

__all__ = [
    "checkpoint",
    "communication",
    "data_loading",
    "describe",
    "evaluation",
    "flush",
    "init",
    "initialization",
    "phase",
    "shutdown",
    "stats",
    "step",
]

_log = logging.getLogger("coulomb")


def init(
    endpoint=None,
    token=None,
    *,
    cluster=None,
    job_id=None,
    rank=None,
    world_size=None,
    run=None,
    service=None,
    model=None,
    parameters=None,
    dtype=None,
    queue_max=None,
    flush_seconds=None,
):
    """Starts to send. What is not given comes from the environment (see the README). Returns whether it sends.

    Never raises: what is wrong is logged once, and the job goes on without telemetry.
    """
    try:
        given = {
            "endpoint": endpoint,
            "token": token,
            "cluster": cluster,
            "job_id": job_id,
            "rank": rank,
            "world_size": world_size,
            "run": run,
            "service": service,
        }
        settings = _settings.read(given)
        if settings is None:
            return False
        Recorder.start(settings, queue_max=queue_max, flush_seconds=flush_seconds)
        describe(model=model, parameters=parameters, dtype=dtype)
        return True
    except Exception as error:
        _log.warning("coulomb: no telemetry of this job: %s: %s", type(error).__name__, error)
        return False


def describe(*, model=None, parameters=None, dtype=None):
    """What is trained, for what is sent from now on: a name, the number of parameters, and the type that matrix
    products are computed in (`bf16`, `fp16`, `fp8`, `tf32`, `fp32`, `int8`)."""
    recorder = Recorder.current
    if recorder is None:
        return
    try:
        recorder.describe(
            {
                "coulomb.model.name": None if model is None else str(model),
                "coulomb.model.parameters": None if parameters is None else int(parameters),
                "coulomb.model.dtype": None if dtype is None else _settings.dtype_name(dtype),
            }
        )
    except Exception as error:
        _log.warning("coulomb: this cannot describe a model: %s: %s", type(error).__name__, error)


def step(n, tokens=None, flops=None):
    """One training step of this rank, with the tokens that this rank computed in it, or its model FLOPs."""
    return Span("step", n, tokens, flops)


def phase(name):
    """Any other work with a name of its own."""
    return Span(name)


def initialization():
    """What happens before the first step: imports, building the model, connecting ranks, compiling."""
    return Span("initialization")


def data_loading():
    """Waiting for the next batch."""
    return Span("data_loading")


def checkpoint(kind="save"):
    """Saving a checkpoint, or with `"restore"` reading one."""
    return Span("checkpoint_restore" if kind == "restore" else "checkpoint_save")


def evaluation():
    """Evaluation on data that is not trained on."""
    return Span("evaluation")


def communication():
    """Exchange with other ranks within a step. It stays part of the step; a rank that waits here for a slower one is
    told apart from one that is slow itself."""
    return Span("communication")


def flush(timeout=5.0):
    """Sends what waits; returns whether all of it went within the time."""
    recorder = Recorder.current
    return True if recorder is None else recorder.flush(timeout)


def shutdown(timeout=2.0):
    """Sends what waits, for at most this long, and stops. At the exit of the process it is called by itself."""
    recorder = Recorder.current
    Recorder.current = None
    if recorder is not None:
        recorder.stop(timeout)


def stats():
    """Counts of spans so far: recorded, sent, dropped (the queue was full), waiting."""
    recorder = Recorder.current
    return {"recorded": 0, "sent": 0, "dropped": 0, "waiting": 0} if recorder is None else recorder.stats()
