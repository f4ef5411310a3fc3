#!/usr/bin/env bash
#SBATCH --job-name=unroll-variant
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --output=unroll-%A-%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
# Add for a GPU: #SBATCH --gres=gpu:1
#
# Trains one variant of a study as a task of an array, beside the others: the first of its params
# file is 0. What is committed is trained, in a clone for each task, for one checkout has one `dvc
# repro` at a time. The clones share DVC's cache; when all are done, slurm.sh finds them there.
#
# Examples:
#   sbatch --array=0-4 docs/team/slurm-array.sh
#   sbatch --array=0-1 docs/team/slurm-array.sh pipeline/quick/dvc.yaml
set -euo pipefail

cd "$SLURM_SUBMIT_DIR"
study=${1:-dvc.yaml}
here=$PWD
clone=$here/.dvc/tmp/jobs/$SLURM_ARRAY_JOB_ID-$SLURM_ARRAY_TASK_ID
export PATH=$here/.venv/bin:$PATH

if [ ! -d "$clone" ]; then
  rm -rf "$clone.new"
  cache=$(dvc cache dir)
  git clone --quiet "$here" "$clone.new"
  (cd "$clone.new" && dvc cache dir --quiet --local "$(cd "$here" && realpath "$cache")")
  mv "$clone.new" "$clone"
fi
cd "$clone"
export PYTHONPATH=$clone/src  # what is committed is trained, not what is edited meanwhile
stages=$(dvc stage list --name-only "$study")
mapfile -t variants < <(grep -E '(^|:)train@' <<< "$stages")
variant=${variants[SLURM_ARRAY_TASK_ID]:-}
if [ -z "$variant" ]; then
  echo "error: $study has the variants 0 to $((${#variants[@]} - 1)): sbatch --array=" >&2
  exit 2
fi
exec docs/team/job.sh dvc repro "$variant"
