#!/bin/sh
# Notes for the collector of a node which job holds which GPU: one file a GPU in /run/gpustat, named by its UUID, or by
# its index where nvidia-smi does not tell UUIDs, with "<job> <uid> <number of the job>".
# In slurm.conf, for the nodes with GPUs:
#   Prolog=/etc/slurm/coulomb-prolog.sh
#   Epilog=/etc/slurm/coulomb-epilog.sh
# A prolog that fails drains its node, so this one never does: what it cannot note, processes tell.
set -u
folder=${COULOMB_GPU_JOBS:-/run/gpustat}
job=${SLURM_JOB_ID:-}
gpus=${SLURM_JOB_GPUS:-}
if [ -z "$job" ] || [ -z "$gpus" ] || ! mkdir -p "$folder" 2>/dev/null; then
    exit 0
fi

# As Slurm prints the job, and as the collector names its processes.
name=$job
if [ -n "${SLURM_ARRAY_JOB_ID:-}" ] && [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    name=${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}
elif [ -n "${SLURM_HET_JOB_ID:-}" ] && [ -n "${SLURM_HET_JOB_OFFSET:-}" ]; then
    name=${SLURM_HET_JOB_ID}+${SLURM_HET_JOB_OFFSET}
fi

# Lines of "<index>, <uuid>"; a driver that hangs must not hold the job.
uuids=$(timeout 10 nvidia-smi --query-gpu=index,uuid --format=csv,noheader 2>/dev/null) || uuids=

note() {
    next=$folder/.next.$job.$$
    if echo "$name ${SLURM_JOB_UID:-0} $job" >"$next" 2>/dev/null; then
        chmod 644 "$next" && mv -f "$next" "$folder/$1"
    fi
}

for index in $(echo "$gpus" | tr ',' ' '); do
    case $index in
        *[!0-9]*) continue ;;
    esac
    uuid=$(echo "$uuids" | sed -n "s/^ *$index, *\([A-Za-z0-9-]\{1,\}\) *\$/\1/p")
    note "${uuid:-$index}"
done
exit 0
