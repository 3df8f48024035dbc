# Shared by the scripts of this folder; sourced, not run.
# shellcheck shell=bash

: "${LAB_URI:?}"
metadata_namespace=urn:datapath-lab

if ! command -v virsh >/dev/null; then
  echo "virsh is not installed here. On Debian or Ubuntu: sudo apt-get install libvirt-clients" >&2
  exit 1
fi

# virsh without its blank lines; what it warns of stays readable.
# In English: some of its words are looked at.
virsh() { LC_ALL=C command virsh --quiet --connect "$LAB_URI" "$@"; }

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# need_libvirt CONSEQUENCE: ends where libvirt does not answer: what can't be asked for would be taken for gone.
need_libvirt() {
  local reason
  if ! reason=$(virsh version 2>&1 >/dev/null); then
    say "libvirt does not answer at $LAB_URI; $1: $(printf '%s' "$reason" | tail -n 1)"
    die "Start it (sudo systemctl start libvirtd), join the group libvirt, or set machines.uri."
  fi
}

# have KIND-info NAME, such as: have dominfo NAME
have() { virsh "$1" "$2" >/dev/null 2>&1; }

have_volume() { virsh vol-info --pool "$1" "$2" >/dev/null 2>&1; }

# owner_of DOMAIN: the id of the lab that defined it, or nothing
owner_of() {
  virsh metadata "$1" --uri "$metadata_namespace" 2>/dev/null | sed -n 's/.*<lab .*id="\([^"]*\)".*/\1/p; s/.*<lab:lab .*id="\([^"]*\)".*/\1/p' | head -n 1
}

# state_of DOMAIN: nothing where there is none
state_of() { virsh domstate "$1" 2>/dev/null || true; }

# A paused one has its disk open too.
is_running() {
  case $(state_of "$1") in '' | "shut off" | crashed) return 1 ;; esac
}

# refresh POOL: lets the pool see the files that came and went. libvirt refuses while a volume of it is made or filled.
refresh() {
  local deadline=$((SECONDS + 600)) reason
  until reason=$(virsh pool-refresh "$1" 2>&1 >/dev/null); do
    case $reason in *asynchronous*) ;; *) say "$reason" && return 1 ;; esac
    if [ "$SECONDS" -ge "$deadline" ]; then say "$reason" && return 1; fi
    sleep 0.3
  done
}

# open_pool POOL: starts it where it was stopped, and lets it see its files
open_pool() { virsh pool-start "$1" >/dev/null 2>&1 || refresh "$1"; }

# other_owner POOL ID: the volume that marks a pool, which is open, as that of a lab with another state; nothing where none does
owner_volume=owner-
other_owner() { virsh vol-list "$1" 2>/dev/null | awk -v own="$owner_volume$2" -v prefix="$owner_volume" 'index($1, prefix) == 1 && $1 != own {print $1; exit}'; }

# remove_domain NAME: ends it at once and takes its definition away
remove_domain() {
  if have dominfo "$1"; then
    virsh destroy "$1" >/dev/null 2>&1 || true
    # A transient domain is gone with its process.
    virsh undefine "$1" --nvram --managed-save --snapshots-metadata >/dev/null 2>&1 || ! have dominfo "$1"
  fi
}

# remove_volume POOL NAME
remove_volume() {
  if have_volume "$1" "$2"; then virsh vol-delete --pool "$1" "$2" >/dev/null; fi
}

# upload POOL NAME FILE FORMAT: makes the volume and fills it. One that is not complete goes away again.
upload() {
  remove_volume "$1" "$2"
  virsh vol-create-as "$1" "$2" "$(stat -L -c %s "$3")" --format "$4" >/dev/null
  if ! virsh vol-upload --pool "$1" --sparse "$2" "$3" >/dev/null; then
    remove_volume "$1" "$2"
    die "The upload of $3 to volume $2 of pool $1 failed."
  fi
}
