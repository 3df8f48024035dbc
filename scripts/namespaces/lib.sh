# Shared by the scripts of this folder; sourced, not run.
# shellcheck shell=sh

# Where the lab writes down which namespaces it made, and in which incarnation.
# shellcheck disable=SC2034
markers=/run/datapath-lab

# ensure_namespace NAME: makes it, also over what an interrupted `ip netns add` left behind.
ensure_namespace() {
  if [ -e "/run/netns/$1" ]; then
    if ip netns exec "$1" true 2>/dev/null; then return; fi
    ip netns del "$1" 2>/dev/null || rm -f "/run/netns/$1"
  fi
  ip netns add "$1"
}

# remove_namespace NAME: ends the processes in it and removes it with all links that have an end there.
remove_namespace() {
  if [ -e "/run/netns/$1" ]; then
    for process in $(ip netns pids "$1" 2>/dev/null); do kill -KILL "$process" 2>/dev/null || true; done
    # An interrupted `ip netns add` leaves a plain file, which `ip netns del` refuses.
    ip netns del "$1" 2>/dev/null || rm -f "/run/netns/$1"
  fi
  rm -f "$markers/$1" "$markers/$1".bird "$markers/$1".bird.*
}

# have_link NAMESPACE LINK
have_link() { ip -n "$1" link show dev "$2" >/dev/null 2>&1; }
