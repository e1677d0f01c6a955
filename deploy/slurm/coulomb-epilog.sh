#!/bin/sh
# Takes back what coulomb-prolog.sh has noted for the job that ends, and nothing of another job.
# An epilog that fails drains its node, so this one never does.
set -u
folder=${COULOMB_GPU_JOBS:-/run/gpustat}
job=${SLURM_JOB_ID:-}
if [ -z "$job" ]; then
    exit 0
fi
for file in "$folder"/*; do
    if [ -f "$file" ] && read -r _ _ number _ <"$file" && [ "$number" = "$job" ]; then
        rm -f "$file"
    fi
done
rm -f "$folder/.next.$job".*
exit 0
