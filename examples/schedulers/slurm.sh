#!/bin/bash
# One map as eight tasks of a SLURM array, on a partition that may preempt them. README.md tells the why.
#
#   sbatch slurm.sh
#
#SBATCH --job-name=census
#SBATCH --output=census-%A_%a.log
# The log of a task that is queued again goes on in the same file.
#SBATCH --open-mode=append
#SBATCH --array=0-7
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
# Queue the task again when its node fails or it is preempted.
#SBATCH --requeue
# SIGTERM for this script (B:) two minutes before the time limit: more than --drain-timeout below.
#SBATCH --signal=B:TERM@120

cd "${SLURM_SUBMIT_DIR:?}" || exit 2

trap 'kill -TERM "$!"' TERM

# In the background, because bash runs a trap only between commands or while it waits.
node_modules/.bin/pawl run tasks/census.js \
  --input=data/items.jsonl \
  --run-id=census \
  --checkpoint=data/runs \
  --shard=auto \
  --preempt=auto \
  --drain-timeout=60s \
  --json &
pawl=$!

# A trapped signal ends `wait` early, so wait until pawl is gone; bash remembers how it ended.
wait "$pawl"
while kill -0 "$pawl" 2>/dev/null; do wait "$pawl"; done
wait "$pawl"
code=$?

# 75: interrupted, run it again. 1 (too many failures) and 2 (bad usage or input) would end the same way again.
if [ "$code" -eq 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
