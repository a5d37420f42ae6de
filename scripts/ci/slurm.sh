#!/usr/bin/env bash
# A Slurm cluster of one node, this machine, for tests: slurm.sh start FOLDER | stop FOLDER.
# `start` installs slurm-wlm and munge from Debian if missing, keeps configuration, state and
# logs in FOLDER, and prints a line to eval before use. Needs root, but no systemd or database.
# Exits 1 with the reason on stderr if that fails.
set -euo pipefail
action="${1:?start or stop}"
folder="$(mkdir -p "${2:?a folder}" && cd "$2" && pwd)"
conf="$folder/slurm.conf"

unavailable() {
  echo "no Slurm for tests: $1" >&2
  exit 1
}

stop() {
  for name in slurmd slurmctld munged; do
    if [ -s "$folder/$name.pid" ]; then
      kill "$(cat "$folder/$name.pid")" 2>/dev/null || true
    fi
  done
  # What they leave behind when they are gone tells that they are.
  for _ in $(seq 50); do
    pgrep -f "slurmstepd|slurmd -f $conf|slurmctld -f $conf" >/dev/null || break
    sleep 0.1
  done
}

if [ "$action" = stop ]; then
  stop
  exit 0
fi

[ "$(id -u)" = 0 ] || unavailable 'needs root'
if ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null || ! command -v munged >/dev/null; then
  command -v apt-get >/dev/null || unavailable 'no apt-get here'
  (apt-get update -qq || true) >/dev/null 2>&1
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge \
    >"$folder/apt.log" 2>&1 || unavailable "apt-get install slurm-wlm munge failed, see $folder/apt.log"
fi

stop
rm -rf "$folder"/{state,spool,*.pid,munge.socket*}
mkdir -p "$folder"/{state,spool}
chmod 755 "$folder"
# Munge insists on a folder that nobody else can write to, all the way up, and on a user of its own.
run=/run/munge
mkdir -p "$run" && chown munge: "$run"
[ -s /etc/munge/munge.key ] || head -c 1024 /dev/urandom >/etc/munge/munge.key
chown munge: /etc/munge /etc/munge/munge.key && chmod 400 /etc/munge/munge.key
mkdir -p /var/log/munge /var/lib/munge && chown munge: /var/log/munge /var/lib/munge

host="$(hostname -s)"
cpus="$(nproc)"
memory="$(awk '/MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)"
cat >"$conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/jobcomp.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MinJobAge=3600
KillWait=10
ReturnToService=2
SchedulerParameters=sched_interval=2
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
: >"$folder/cgroup.conf"

# One that runs already serves as well.
pgrep -x munged >/dev/null || runuser -u munge -- munged || unavailable 'munged does not start'
# The newest: the one that started the daemon may not have ended yet.
pgrep -nx munged >"$folder/munged.pid"
export SLURM_CONF="$conf"
slurmctld -f "$conf" || unavailable "slurmctld does not start, see $folder/slurmctld.log"
slurmd -f "$conf" || unavailable "slurmd does not start, see $folder/slurmd.log"
for _ in $(seq 100); do
  if [ "$(sinfo -h -o %T 2>/dev/null)" = idle ]; then
    echo "export SLURM_CONF='$conf'"
    exit 0
  fi
  sleep 0.2
done
stop
unavailable "its node does not become idle, see $folder/slurmctld.log and slurmd.log"
