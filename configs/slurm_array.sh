#!/bin/bash
#SBATCH --job-name=featlearn
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
# One sweep on many machines, into one store on their common disk: sbatch configs/slurm_array.sh CONFIG STORE
# Submit it again to resume, and with another --array to change the number of shards.
set -euo pipefail
exec featlearn sweep "$1" --out "$2" --jobs "${SLURM_CPUS_PER_TASK:-1}" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
