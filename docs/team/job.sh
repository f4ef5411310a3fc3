#!/usr/bin/env bash
# Runs a command that a cluster may end at any time and begin again, and ends as it does.
#
# Usage: docs/team/job.sh COMMAND ...   (in the project's root)
#
# A cluster asks a job to end by SIGTERM and kills it half a minute later. Passed on to DVC alone,
# that would kill it at once. As Ctrl-C does, this asks the command and all that it has started:
# each seed writes a checkpoint, DVC waits for its stage, and the next start goes on from there.
#
# SLURM says by SIGUSR1 that the time is nearly up (slurm.sh): then the job is queued again.
#
# Examples:
#   docs/team/job.sh dvc repro
#   docs/team/job.sh dvc repro pipeline/quick/dvc.yaml
# shellcheck disable=SC2317  # what asks the command to end is called by a trap
set -uo pipefail

PATH=$(cd "$(dirname "$0")/../.." && pwd)/.venv/bin:$PATH
NOTE=.dvc/tmp/job

fail() {
  echo "error: $*" >&2
  exit 2
}

# DVC that is killed leaves in its list of who reads and writes what its process number, which may
# be another's where the job begins again: DVC would refuse to work beside that one.
forget_killed() {
  if [ -s "$NOTE" ]; then
    echo "the job before was killed ($(<"$NOTE")); this one goes on"
    rm -f .dvc/tmp/rwlock
  fi
}

case ${1:-} in
  "" | -h | --help) sed -n '2{s/# //;p}; 3,/^# shell/{/shellcheck/d; /^#/{s/^# \{0,1\}//;p}}' "$0"; exit ;;
esac
[ -d .dvc ] || fail "there is no .dvc in $PWD; a job runs in the project's root"
mkdir -p .dvc/tmp
exec {lock}>>"$NOTE"
flock --nonblock "$lock" || fail "another job runs in $PWD ($(<"$NOTE"))"
forget_killed
echo "process $$ on $HOSTNAME" >"$NOTE"

asked='' again=''
end() {
  asked=yes
  kill -s INT -- "-$command"
}
trap end TERM INT
trap 'again=yes; end' USR1

set -m  # the command is a group of its own, so that all of it can be asked
"$@" {lock}>&- &
command=$!
set +m
while wait "$command"; code=$?; kill -0 "$command" 2>/dev/null; do
  :  # a signal came, and the command has yet to end
done
while kill -0 -- "-$command" 2>/dev/null; do
  sleep 0.1  # DVC was killed alone; what it has started writes its checkpoints
done
if [ "$code" -le 128 ] || [ "$code" -gt 192 ]; then  # between them: killed by a signal
  : >"$NOTE"
fi
[ "$code" != 0 ] || exit 0
[ -z "$again" ] || scontrol requeue "$SLURM_JOB_ID"
[ -z "$asked" ] || exit 143
exit "$code"
