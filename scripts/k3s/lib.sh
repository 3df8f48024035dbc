# Shared by the jobs of this folder; components/remote-job.ts sends it to a machine with them. As root.
#   LAB_NODE: the node's name, in front of whatever is said   LAB_ROOT: folder in the place of /, for tests
# shellcheck shell=sh
# shellcheck disable=SC2034 # what is set here is read by the jobs
set -eu
umask 022
root=${LAB_ROOT:-}
binary=$root/usr/local/bin/k3s
releases=$root/usr/local/lib/k3s
settings=$root/etc/rancher/k3s
units=$root/etc/systemd/system
# What the lab itself keeps on a machine.
lab=$root/var/lib/datapath-lab/k3s
journal_lines=30

say() { printf '%s: %s\n' "$LAB_NODE" "$*" >&2; }

die() {
  say "$@"
  exit 1
}

now() { date +%s; }

quoted() { sed 's/^/  | /' >&2; }

# unit_of ROLE
unit_of() {
  case $1 in
    agent) echo k3s-agent ;;
    *) echo k3s ;;
  esac
}

# version_of FILE: what a binary of K3s says of itself
version_of() { "$1" --version 2>/dev/null | sed -n 's/^k3s version \(v[^ ]*\).*/\1/p'; }

installed_version() { if [ -x "$binary" ]; then version_of "$binary"; fi; }

# is_lower VERSION VERSION: semver leaves the build out of the order, K3s counts its own releases in it
is_lower() {
  printf '%s\n%s\n' "$1" "$2" | sed 's/^v//; s/-[^+]*//; s/+k3s/./' |
    awk -F. '{for (i = 1; i <= 4; i++) part[NR, i] = $i + 0}
      END {for (i = 1; i <= 4; i++) if (part[1, i] != part[2, i]) exit part[1, i] > part[2, i]; exit 1}'
}

refuse_downgrade() {
  found=$(installed_version)
  if [ -n "$found" ] && is_lower "$1" "$found"; then
    die "K3s $found is installed, and $1 is older: its data can't be read by an older one. Set k3s.version to $found or newer, or take a fresh machine."
  fi
}

# point_to VERSION: makes it the one that runs at the next start
point_to() {
  mkdir -p "${binary%/*}"
  ln -sfn "../lib/k3s/$1/k3s" "$binary.new"
  mv -f "$binary.new" "$binary"
  for name in kubectl crictl ctr; do
    if [ ! -e "${binary%/*}/$name" ]; then ln -s k3s "${binary%/*}/$name"; fi
  done
}

# pointed_to: the version that the link leads to; nothing where it is none of ours
pointed_to() { readlink "$binary" 2>/dev/null | sed -n 's|^\.\./lib/k3s/\([^/]*\)/k3s$|\1|p'; }

# fingerprint UNIT: what a service is started with, as it lies there; images are imported as it starts. $lab/applied holds that of the last start that went well.
fingerprint() {
  for file in "$releases/$(pointed_to)/sha256" "$settings/config.yaml" "$settings/token" "$units/$1.service" "$lab/cluster" "$lab/inherited" \
    "$lab/images"; do
    sha256sum <"$file" 2>/dev/null || echo none
  done | sha256sum | cut -d ' ' -f 1
}

# start UNIT LIMIT: starts it anew and waits until it runs and, on a server, its API answers. Else it is stopped, so that systemd
# does not go on trying while files change, and the reason is in $reason.
start() {
  if attempt "$1" "$2"; then return 0; fi
  systemctl stop "$1" || true
  return 1
}

attempt() {
  started=$(now)
  systemctl reset-failed "$1" 2>/dev/null || true
  systemctl stop "$1" || true
  systemctl start --no-block "$1"
  next=$((started + 10))
  while :; do
    state=$(systemctl show --property ActiveState --value "$1")
    restarts=$(systemctl show --property NRestarts --value "$1")
    if [ "$state" = active ]; then break; fi
    # It may lose a race at its first start; whoever falls three times goes on falling.
    if [ "$state" = failed ] || [ "${restarts:-0}" -ge 3 ]; then
      reason="the service $1 ends as soon as it starts"
      return 1
    fi
    if [ $(($(now) - started)) -ge "$2" ]; then
      reason="the service $1 did not start in $2 s (k3s.startLimitSeconds)"
      return 1
    fi
    if [ "$(now)" -ge "$next" ]; then
      say "$1 is starting, $(($(now) - started)) of $2 s"
      next=$((next + 10))
    fi
    sleep 0.5
  done
  if [ "$1" = k3s-agent ]; then return 0; fi
  wait_for_api "$2"
}

# wait_for_api LIMIT: on a server whose service runs. What keeps it is in $reason.
wait_for_api() {
  running=$(now)
  next=$((running + 10))
  until answer=$(timeout 20 "$binary" kubectl get --raw /readyz 2>&1); do
    if [ $(($(now) - running)) -ge "$1" ]; then
      reason="the service runs, and its API did not answer in $1 s (k3s.startLimitSeconds): $(printf '%s' "$answer" | tail -n 1)"
      return 1
    fi
    if [ "$(systemctl show --property ActiveState --value k3s)" = failed ]; then
      reason="the service k3s ended before its API answered"
      return 1
    fi
    if [ "$(now)" -ge "$next" ]; then
      say "the API does not answer yet, $(($(now) - running)) of $1 s"
      next=$((next + 10))
    fi
    sleep 0.5
  done
}

# journal UNIT: the end of what it said since its last start
journal() { journalctl --unit "$1" --since "@$started" --lines "$journal_lines" --no-pager --output cat 2>/dev/null || true; }

# node_is_ready: as the node's own kubelet may ask
node_is_ready() {
  [ "$(timeout 20 "$binary" kubectl --kubeconfig "$root/var/lib/rancher/k3s/agent/kubelet.kubeconfig" get node "$LAB_NODE" \
    --output 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]
}
