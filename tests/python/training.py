"""A data-parallel training of four ranks with the package `coulomb`, a slow rank, a crash and a restart from its
checkpoint. Says on its own clock what the server has to find. PyTorch where it is there, else NumPy.

Usage: training.py URL TOKEN JOB FOLDER

Its times lie two hours back, so that the ledger, which knows whole hours, has the job; durations are real.
"""

import json
import multiprocessing
import os
import statistics
import sys
import time
import urllib.request

CLUSTER, RANKS, GPUS = "train", 4, 4
STEPS, SAVE_EVERY, CRASH_AT, CRASHES = 80, 20, 57, 1
# Far longer than what other programs on the machine take from a rank.
SLOW_RANK, SLOW_SECONDS, OTHERS_SECONDS = 2, 0.15, 0.03
BATCH, WIDTH, TOKENS = 64, 64, 4096
GPU_MODEL, DTYPE = "NVIDIA H100 80GB HBM3", "bf16"
HOUR = 3600 * 10**9

real_time_ns = time.time_ns


def shift(nanos):
    time.time_ns = lambda: real_time_ns() - nanos


class Numpy:
    """Two layers, learned by hand."""

    def __init__(self, seed):
        import numpy

        self.np = numpy
        # All ranks begin alike.
        random = numpy.random.default_rng(0)
        self.weights = [random.normal(0, 0.05, (WIDTH, WIDTH)) for _ in range(2)]
        self.random = numpy.random.default_rng(seed)
        self.parameters = sum(w.size for w in self.weights)

    def batch(self):
        return self.random.normal(0, 1, (BATCH, WIDTH))

    def gradients(self, batch):
        np, (first, second) = self.np, self.weights
        hidden = np.tanh(batch @ first)
        error = hidden @ second - batch
        back = (error @ second.T) * (1 - hidden**2)
        return np.concatenate([(batch.T @ back).ravel(), (hidden.T @ error).ravel()]) / BATCH

    def view(self, shared):
        return self.np.frombuffer(shared, dtype="f8").reshape(RANKS, -1)

    def learn(self, gradient):
        for at, weights in enumerate(self.weights):
            self.weights[at] = weights - 0.01 * gradient[at * weights.size : (at + 1) * weights.size].reshape(weights.shape)

    def save(self, path):
        self.np.savez(path, *self.weights)

    def restore(self, path):
        with self.np.load(path) as saved:
            self.weights = [saved[name] for name in saved.files]


class Torch:
    """The same in PyTorch."""

    def __init__(self, seed):
        import torch

        self.torch = torch
        torch.set_num_threads(1)
        torch.manual_seed(0)
        layers = [torch.nn.Linear(WIDTH, WIDTH, bias=False), torch.nn.Tanh(), torch.nn.Linear(WIDTH, WIDTH, bias=False)]
        self.model = torch.nn.Sequential(*layers)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.random = torch.Generator().manual_seed(seed)
        self.parameters = sum(p.numel() for p in self.model.parameters())

    def batch(self):
        return self.torch.randn(BATCH, WIDTH, generator=self.random)

    def gradients(self, batch):
        self.optimizer.zero_grad()
        self.torch.nn.functional.mse_loss(self.model(batch), batch).backward()
        return self.torch.cat([p.grad.reshape(-1) for p in self.model.parameters()]).double()

    def view(self, shared):
        return self.torch.frombuffer(shared, dtype=self.torch.float64).reshape(RANKS, -1)

    def learn(self, gradient):
        at = 0
        for parameter in self.model.parameters():
            part = gradient[at : at + parameter.numel()]
            parameter.grad.copy_(part.reshape(parameter.shape))
            at += parameter.numel()
        self.optimizer.step()

    def save(self, path):
        self.torch.save(self.model.state_dict(), path)

    def restore(self, path):
        self.model.load_state_dict(self.torch.load(path))


def framework():
    try:
        import torch  # noqa: F401
    except ImportError:
        return Numpy
    return Torch


def rank_main(rank, attempt, nanos, url, token, job, folder, barrier, shared):
    """One rank. Its log is what the test goes by, so it is written as it happens."""
    shift(nanos)
    import coulomb

    # What the launcher of a job would set.
    os.environ.update(SLURM_JOB_ID=job, SLURM_PROCID=str(rank), SLURM_NTASKS=str(RANKS), SLURM_RESTART_COUNT=str(attempt))
    os.environ.update(SLURM_CLUSTER_NAME=CLUSTER, SLURMD_NODENAME=f"node{rank // 2}")
    assert coulomb.init(url, token)
    log = open(f"{folder}/{attempt}-{rank}.jsonl", "w", buffering=1)

    def note(what, seconds, **more):
        log.write(json.dumps({"what": what, "seconds": seconds, **more}) + "\n")

    began = time.perf_counter()
    with coulomb.initialization():
        kind = framework()
        model = kind(1 + rank)
        coulomb.describe(model="two layers", parameters=model.parameters, dtype=DTYPE)
        barrier.wait(120)
    note("initialization", time.perf_counter() - began, parameters=model.parameters, framework=kind.__name__)
    first = 0
    saved = sorted(int(name.split("-")[1]) for name in os.listdir(folder) if name.startswith("saved-"))
    if saved:
        began = time.perf_counter()
        with coulomb.checkpoint("restore"):
            first = saved[-1] + 1
            model.restore(f"{folder}/saved-{saved[-1]}-.npz")
        note("checkpoint_restore", time.perf_counter() - began)
    for n in range(first, STEPS):
        began = time.perf_counter()
        with coulomb.step(n, tokens=TOKENS):
            with coulomb.data_loading():
                at = time.perf_counter()
                time.sleep(0.004)
                batch = model.batch()
                loading = time.perf_counter() - at
            gradient = model.gradients(batch)
            time.sleep(SLOW_SECONDS if rank == SLOW_RANK else OTHERS_SECONDS)
            if n == CRASH_AT and attempt < CRASHES and rank == 1:
                raise RuntimeError("injected fault: rank 1 gives up")
            with coulomb.communication():
                everyone = model.view(shared)
                everyone[rank] = gradient
                barrier.wait(60)
                mean = everyone.mean(0)
                barrier.wait(60)
            model.learn(mean)
        note("step", time.perf_counter() - began, step=n, loading=loading)
        if n % SAVE_EVERY == SAVE_EVERY - 1 and n + 1 < STEPS:
            began = time.perf_counter()
            with coulomb.checkpoint():
                if rank == 0:
                    model.save(f"{folder}/part.npz")
                    os.replace(f"{folder}/part.npz", f"{folder}/saved-{n}-.npz")
                time.sleep(0.1)
                barrier.wait(60)
            note("checkpoint_save", time.perf_counter() - began)
    note("stats", 0.0, **coulomb.stats())


def launch(attempt, nanos, url, token, job, folder):
    """Runs all ranks once; kills the others when one fails, as a scheduler does. Times and whether it went well."""
    # One thread a rank, as one GPU.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    context = multiprocessing.get_context("spawn")
    barrier, shared = context.Barrier(RANKS), context.RawArray("d", RANKS * 2 * WIDTH * WIDTH)
    started = time.time_ns()
    arguments = (attempt, nanos, url, token, job, folder, barrier, shared)
    ranks = [context.Process(target=rank_main, args=(rank, *arguments)) for rank in range(RANKS)]
    for process in ranks:
        process.start()
    while any(process.exitcode is None for process in ranks):
        if any(process.exitcode not in (None, 0) for process in ranks):
            time.sleep(0.2)
            for process in ranks:
                process.kill()
        time.sleep(0.01)
    ended = time.time_ns()
    return started, ended, all(process.exitcode == 0 for process in ranks)


def post(url, token, writer, table, rows):
    """One Arrow stream of rows, each a dict."""
    import datetime

    import pyarrow
    import pyarrow.ipc

    times = {"time", "submitted_at", "started_at", "ended_at"}
    names = list(dict.fromkeys(name for row in rows for name in row))

    def column(name):
        values = [row.get(name) for row in rows]
        if name not in times:
            return pyarrow.array(values)
        utc = datetime.timezone.utc
        values = [None if v is None else datetime.datetime.fromtimestamp(0, utc) + datetime.timedelta(microseconds=v // 1000) for v in values]
        return pyarrow.array(values, pyarrow.timestamp("us", "UTC"))

    table_of = pyarrow.table({name: column(name) for name in names})
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table_of.schema) as stream:
        stream.write_table(table_of)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/vnd.apache.arrow.stream",
        "Coulomb-Writer": writer,
        "Coulomb-Sequence": "1",
    }
    request = urllib.request.Request(f"{url}/v1/ingest/{table}", sink.getvalue().to_pybytes(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["accepted"] == len(rows)


def gpu(at):
    return f"GPU-train-{at}"


def event(job, attempt, kind, at, **more):
    whose = {"cluster": CLUSTER, "job_id": job, "attempt": attempt, "name": "two layers", "user": "ada"}
    held = {"gpus_requested": GPUS, "nodes": ["node0", "node1"], "gpu_uuids": [gpu(at) for at in range(GPUS)]}
    return {"time": at, "kind": kind, **whose, **held, **more}


def samples(job, attempts):
    """Ten seconds each, as a collector would have sent them."""
    rows = []
    first, last = attempts[0][0], attempts[-1][1]
    for at in range(first - first % (10 * 10**9), last, 10 * 10**9):
        holds = any(started <= at < ended for started, ended, _ in attempts)
        for index in range(GPUS):
            rows.append(
                {
                    "time": at,
                    "interval_seconds": 10.0,
                    "cluster": CLUSTER,
                    "node": f"node{index // 2}",
                    "gpu_uuid": gpu(index),
                    "gpu_index": index % 2,
                    "gpu_model": GPU_MODEL,
                    "job_id": job if holds else None,
                    "process_count": 1 if holds else 0,
                    "gpu_busy_ratio": 0.9 if holds else 0.0,
                    "power_watts": 600.0 if holds else 90.0,
                }
            )
    return rows


def expected(attempts, folder):
    """What the loops' own clocks say."""
    logs = {}
    for attempt in range(len(attempts)):
        for rank in range(RANKS):
            with open(f"{folder}/{attempt}-{rank}.jsonl", encoding="utf-8") as lines:
                logs[attempt, rank] = [json.loads(line) for line in lines]
    again_from = min(entry["step"] for entry in logs[len(attempts) - 1, 0] if entry["what"] == "step")
    counted, slowest, parameters = [], {}, 0
    for (attempt, rank), entries in logs.items():
        for entry in entries:
            parameters = entry.get("parameters", parameters)
            if entry["what"] == "step" and (attempt == len(attempts) - 1 or entry["step"] < again_from):
                counted.append(entry)
                slowest[entry["step"]] = max(slowest.get(entry["step"], 0.0), entry["seconds"])
    each = GPUS / RANKS
    step_seconds = sum(entry["seconds"] for entry in counted)
    productive = (step_seconds - sum(entry["loading"] for entry in counted)) * each
    held = sum((ended - started) / 1e9 * GPUS for started, ended, _ in attempts)
    tokens = len(counted) * TOKENS

    def phase(name):
        return sum(entry["seconds"] for entries in logs.values() for entry in entries if entry["what"] == name)

    saves = [entry["seconds"] for entry in logs[0, 0] + logs[1, 0] if entry["what"] == "checkpoint_save"]
    return {
        "framework": next(entry["framework"] for entry in logs[0, 0] if "framework" in entry),
        "steps": len(slowest),
        "again_from": again_from,
        "last_before": max(entry["step"] for entry in logs[0, 0] if entry["what"] == "step"),
        "productive_gpu_seconds": productive,
        "held_gpu_seconds": held,
        "data_gpu_seconds": sum(entry["loading"] for entry in counted) * each,
        "save_gpu_seconds": phase("checkpoint_save") * each,
        "lost_gpu_seconds_at_least": sum(
            entry["seconds"] * each
            for (attempt, _), entries in logs.items()
            for entry in entries
            if entry["what"] == "step" and attempt == 0 and entry["step"] >= again_from
        ),
        "mean_seconds": statistics.fmean(slowest.values()),
        "p50_seconds": statistics.median(slowest.values()),
        "save_seconds": statistics.fmean(saves),
        "saves": len(saves),
        "tokens": tokens,
        "mfu": 6 * parameters * tokens / (989e12 * step_seconds * each),
        "tokens_per_second": tokens / (step_seconds / RANKS),
        "stats": [entries[-1] for entries in logs.values() if entries[-1]["what"] == "stats"],
    }


def main():
    url, token, job, folder = sys.argv[1:5]
    os.makedirs(folder, exist_ok=True)
    now = real_time_ns()
    # Early in an hour that has been over for an hour.
    nanos = now - (now // HOUR - 2) * HOUR - 300 * 10**9
    shift(nanos)
    attempts, events = [], []
    while not attempts or not attempts[-1][2]:
        attempt = len(attempts)
        assert attempt <= CRASHES, "it fails more often than it was told to"
        attempts.append(launch(attempt, nanos, url, token, job, folder))
        started, ended, well = attempts[-1]
        submitted = attempts[0][0] - 30 * 10**9
        events.append(event(job, attempt, "started", started, submitted_at=submitted, started_at=started))
        state = {"state": "COMPLETED", "exit_code": 0} if well else {"state": "FAILED", "exit_code": 1}
        events.append(event(job, attempt, "ended", ended, started_at=started, ended_at=ended, **state))
        time.sleep(0 if well else 3)
    post(url, token, f"training/{job}", "job_events", events)
    post(url, token, f"training/{job}", "gpu_samples", samples(job, attempts))
    print(json.dumps(expected(attempts, folder)))


if __name__ == "__main__":
    main()
