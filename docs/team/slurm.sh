#!/usr/bin/env bash
#SBATCH --job-name=unroll
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --output=unroll-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
# Add for a GPU: #SBATCH --gres=gpu:1
#
# Runs a study under SLURM, in the checkout from which it is submitted. A job that is preempted,
# loses its node or has used its time begins again and goes on from its checkpoints.
#
# Examples:
#   sbatch docs/team/slurm.sh
#   sbatch --time=01:00:00 docs/team/slurm.sh pipeline/quick/dvc.yaml
set -euo pipefail

cd "$SLURM_SUBMIT_DIR"
exec docs/team/job.sh dvc repro "$@"
