#!/usr/bin/env bash
# A real Slurm cluster on one machine, for tests/slurm.rs and scripts/engines-agreement.sh: munged, slurmctld, and each
# slurmd in a network namespace with an address of its own. Needs root, slurm-wlm, munge and iproute2. DIR must be open to
# the user munge. Jobs are forgotten 2 s after their end. Clusters with different CLUSTER, 0 to 9, run at the same time.
#   cluster.sh up DIR NODES      starts all and waits until every node is idle
#   cluster.sh controller DIR    starts slurmctld again
#   cluster.sh node DIR I        starts slurmd I again
#   cluster.sh down DIR          ends all of it
# `ip netns exec` hides /sys/fs/cgroup from slurmd; nsenter does not.
set -euo pipefail
command=$1 dir=$(realpath "$2")
cluster=${CLUSTER:-0}
net=10.97.$cluster link=plt$cluster
export SLURM_CONF=$dir/slurm.conf
cd "$dir"

background() { # NAME COMMAND…
    local name=$1
    shift
    setsid "$@" </dev/null >"run/$name.out" 2>&1 &
    echo $! >"run/$name.pid"
}

configure() {
    cat <<END
ClusterName=paceline$cluster
SlurmctldHost=$(hostname)($net.1)
SlurmctldPort=1691$cluster
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=30
CredType=cred/munge
SlurmUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/run/spool-%n
SlurmctldPidFile=$dir/run/slurmctld.own
SlurmdPidFile=$dir/run/slurmd-%n.own
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmctldTimeout=5
SlurmdTimeout=6
MinJobAge=2
KillWait=2
InactiveLimit=0
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
END
    for i in $(seq 1 "$1"); do
        echo "NodeName=n$i NodeHostname=$(hostname) NodeAddr=$net.1$i Port=1692$i CPUs=2 RealMemory=1000 State=UNKNOWN"
    done
    echo "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO PriorityTier=1"
    echo "PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP OverSubscribe=NO PriorityTier=2"
}

start_controller() { background slurmctld slurmctld -D -f "$dir/slurm.conf"; }
start_node() { background "slurmd-n$1" nsenter --net="/run/netns/$link-n$1" slurmd -D -N "n$1" -f "$dir/slurm.conf"; }

case $command in
up)
    nodes=$3
    mkdir -p run state munge
    configure "$nodes" >slurm.conf
    head -c 128 /dev/urandom >munge/key
    chown -R munge:munge munge
    chmod 400 munge/key
    background munged runuser -u munge -- munged --force --foreground --key-file="$dir/munge/key" \
        --socket="$dir/munge/socket" --pid-file="$dir/munge/own" --log-file="$dir/munge/log" --seed-file="$dir/munge/seed"
    ip link add "$link" type bridge
    ip addr add $net.1/24 dev "$link"
    ip link set "$link" up
    for _ in $(seq 100); do [ -S munge/socket ] && break || sleep 0.1; done
    start_controller
    for i in $(seq 1 "$nodes"); do
        ip netns add "$link-n$i"
        ip link add "$link-$i" type veth peer name eth0 netns "$link-n$i"
        ip link set "$link-$i" master "$link" up
        ip -n "$link-n$i" addr add "$net.1$i/24" dev eth0
        ip -n "$link-n$i" link set eth0 up
        ip -n "$link-n$i" link set lo up
        mkdir -p "run/spool-n$i"
        start_node "$i"
    done
    for _ in $(seq 120); do
        # A node has a line for each of its partitions.
        [ "$(sinfo -h -N -p all -o %T 2>/dev/null | grep -c '^idle$')" = "$nodes" ] && exit 0
        sleep 0.5
    done
    sinfo -N -l || true
    tail -n 5 run/*.out
    exit 1
    ;;
controller) start_controller ;;
node) start_node "$3" ;;
down)
    # By the ids that were written down; what does not end is killed.
    for pid in $(cat run/*.pid run/*.own munge/own 2>/dev/null); do
        kill "$pid" 2>/dev/null || continue
        for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
        kill -9 "$pid" 2>/dev/null || true
    done
    # A step that is left in a namespace would keep it, and its link, alive.
    for ns in $(ip netns list | awk -v own="^$link-n" '$1 ~ own { print $1 }'); do
        for pid in $(ip netns pids "$ns"); do kill -9 "$pid" 2>/dev/null || true; done
        ip netns del "$ns"
    done
    for own in $(ip -o link | awk -F '[ :@]+' -v own="^$link(-[0-9]+)?\$" '$2 ~ own { print $2 }'); do
        ip link del "$own" 2>/dev/null || true
    done
    ;;
esac
