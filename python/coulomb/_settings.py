"""Where spans go and whose they are, from arguments and the environment."""

import logging
import os
import socket

_log = logging.getLogger("coulomb")

DEFAULT_ENDPOINT = "http://127.0.0.1:6240"
_NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

# Names of a type as frameworks write it, such as torch.bfloat16.
_DTYPES = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "float32": "fp32",
    "float": "fp32",
    "float64": "fp64",
    "double": "fp64",
    "float8_e4m3fn": "fp8",
    "float8_e5m2": "fp8",
}


def dtype_name(dtype):
    name = str(dtype).rsplit(".", 1)[-1].lower()
    return _DTYPES.get(name, name)


def _first(environment, names):
    for name in names:
        value = environment.get(name, "").strip()
        if value:
            return value
    return None


def _number(value):
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


def _slurm_job(environment):
    """As Slurm prints it, with tasks of arrays and parts of heterogeneous jobs."""
    job = _first(environment, ["SLURM_JOB_ID", "SLURM_JOBID"])
    if job is None:
        return None
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    if array and task:
        return f"{array}_{task}"
    first, offset = environment.get("SLURM_HET_JOB_ID"), environment.get("SLURM_HET_JOB_OFFSET")
    if first and offset:
        return f"{first}+{offset}"
    return job


def _pod(environment):
    """Namespace and name of the pod that this runs in."""
    if not environment.get("KUBERNETES_SERVICE_HOST"):
        return None
    namespace = _first(environment, ["POD_NAMESPACE"])
    if namespace is None:
        try:
            with open(_NAMESPACE_FILE, encoding="utf-8") as file:
                namespace = file.read().strip()
        except OSError:
            return None
    pod = _first(environment, ["POD_NAME", "HOSTNAME"])
    return (namespace, pod) if namespace and pod else None


def _run(environment):
    """What all ranks of one launch have in common and the next launch of the job has not."""
    names = ["SLURM_RESTART_COUNT", "SLURM_STEP_ID", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"]
    return ".".join(environment.get(name, "") or "0" for name in names)


def _address(given, environment):
    """The address that spans are posted to; None where it cannot be one."""
    base = given or _first(environment, ["COULOMB_ENDPOINT"])
    if base is None:
        whole = _first(environment, ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
        if whole is not None:
            return whole
        base = _first(environment, ["OTEL_EXPORTER_OTLP_ENDPOINT"])
        protocols = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]
        if base is not None and _first(environment, protocols) == "grpc":
            _log.warning("coulomb: no telemetry of this job: it is sent over HTTP, set COULOMB_ENDPOINT")
            return None
    return (base or DEFAULT_ENDPOINT).rstrip("/") + "/v1/traces"


def _token(given, environment):
    if given:
        return given
    token = _first(environment, ["COULOMB_TOKEN"])
    path = _first(environment, ["COULOMB_TOKEN_FILE"])
    if token is None and path is not None:
        with open(path, encoding="utf-8") as file:
            token = file.read().strip()
    return token


def read(given, environment=None):
    """Address, headers and resource; None when spans cannot go anywhere or are not wanted."""
    environment = os.environ if environment is None else environment
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("COULOMB_DISABLED"):
        return None
    address = _address(given.get("endpoint"), environment)
    if address is None:
        return None
    token = _token(given.get("token"), environment)

    def number(name, names):
        value = _number(given.get(name))
        return _number(_first(environment, names)) if value is None else value

    rank = number("rank", ["COULOMB_RANK", "RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "JOB_COMPLETION_INDEX"])
    world = number("world_size", ["COULOMB_WORLD_SIZE", "WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
    local = number("local_rank", ["LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK"])
    job = given.get("job_id") or _first(environment, ["COULOMB_JOB_ID"]) or _slurm_job(environment)
    resource = {
        "service.name": given.get("service") or _first(environment, ["OTEL_SERVICE_NAME"]) or "training",
        "host.name": _first(environment, ["COULOMB_NODE", "SLURMD_NODENAME"]) or socket.gethostname(),
        "process.pid": os.getpid(),
        "coulomb.cluster": given.get("cluster") or _first(environment, ["COULOMB_CLUSTER", "SLURM_CLUSTER_NAME"]),
        "coulomb.job_id": None if job is None else str(job),
        "coulomb.rank": 0 if rank is None else rank,
        "coulomb.local_rank": local,
        "coulomb.world_size": world,
        "coulomb.run": str(given.get("run") or _first(environment, ["COULOMB_RUN"]) or _run(environment)),
    }
    pod = _pod(environment)
    if pod is not None:
        resource["k8s.namespace.name"], resource["k8s.pod.name"] = pod
        node = _first(environment, ["NODE_NAME"])
        if node:
            resource["k8s.node.name"] = node
    return {
        "address": address,
        "headers": {"authorization": f"Bearer {token}"} if token else {},
        "resource": {name: value for name, value in resource.items() if value is not None},
    }
