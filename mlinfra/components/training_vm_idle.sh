#!/bin/sh
# mlinfra-idle MINUTES: stop this machine once nobody has used it for so long. A timer runs it every minute.
#
# It is in use when since the last run more than a quarter of a core was at work (waiting for a disk counts as work),
# when a GPU is at work, or when somebody typed in a terminal. Whatever cannot be read counts as not in use.
# The variables below are for trying it out elsewhere.
set -eu

minutes=$1
proc=${IDLE_PROC:-/proc}
state=${IDLE_STATE:-/run/mlinfra-idle}
terminals=${IDLE_TERMINALS:-/dev/pts}
stop=${IDLE_STOP:-systemctl poweroff}
cores=0.25
gpu_percent=5

mkdir -p "$state"
now=$(cut -d. -f1 "$proc/uptime")

# Time at work, all time, and the number of cores (proc(5)); what the hypervisor took away is neither.
work() {
    awk '/^cpu[0-9]/ { cores++ }
         /^cpu / { for (field = 2; field <= 8; field++) all += $field; rest = $5 }
         END { print all - rest, all, cores }' "$proc/stat"
}

cpu_works() {
    [ -f "$state/work" ] || return 1
    { cat "$state/work"; work; } | awk -v most="$cores" '
        NR == 1 { work = $1; all = $2 }
        NR == 2 { passed = $2 - all; exit !(passed > 0 && ($1 - work) / passed * $3 > most) }'
}

gpu_works() {
    command -v nvidia-smi >/dev/null 2>&1 || return 1
    nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits 2>/dev/null |
        awk -v least="$gpu_percent" '$1 + 0 >= least { works = 1 } END { exit !works }'
}

somebody_types() {
    [ -n "$(find "$terminals" -name '[0-9]*' -amin -2 2>/dev/null)" ]
}

if cpu_works || gpu_works || somebody_types || [ ! -f "$state/used" ]; then
    echo "$now" >"$state/used"
fi
work >"$state/work"

idle=$((now - $(cat "$state/used")))
if [ "$idle" -ge $((minutes * 60)) ]; then
    echo "not in use for $minutes minutes: stopping"
    exec $stop
fi
