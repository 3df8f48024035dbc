# BIRD 2 in a namespace; sourced after lib.sh, not run.
# shellcheck shell=sh disable=SC2154 # lib.sh says where the markers are

# Beside a namespace's marker stand its daemon's files: NAME.bird.conf, .pid, .ctl (socket), and .bird, its incarnation. The
# socket is always named from its folder: a whole path could be longer than a socket's may be.

# bird_process NAMESPACE: the daemon's process, where it lives; fails where not
bird_process() {
  process=$(cat "$markers/$1.bird.pid" 2>/dev/null) && [ -n "$process" ] || return 1
  # Another process may have the number by now.
  [ "$(cat "/proc/$process/comm" 2>/dev/null)" = bird ] || return 1
  echo "$process"
}

# birdc_in NAMESPACE WORD…
birdc_in() (
  cd "$markers" || exit 1
  socket=$1.bird.ctl
  shift
  exec birdc -s "$socket" "$@"
)

# bgp_up NAMESPACE INCARNATION CONFIGURATION: starts the daemon, or gives the one that runs its new configuration
bgp_up() {
  files=$markers/$1.bird
  printf '%s\n' "$3" >"$files.new"
  # Whatever is wrong with it is said before anything that runs is touched.
  bird -p -c "$files.new"
  if bird_process "$1" >/dev/null; then
    if ! cmp -s "$files.new" "$files.conf"; then
      mv "$files.new" "$files.conf"
      answer=$(birdc_in "$1" configure)
      case $answer in
        *Reconfigur*) ;;
        *)
          echo "BIRD in $1 did not take its configuration: $answer" >&2
          return 1
          ;;
      esac
    fi
  else
    mv "$files.new" "$files.conf"
    rm -f "$files.ctl" "$files.pid"
    (cd "$markers" && exec ip netns exec "$1" bird -c "$1.bird.conf" -s "$1.bird.ctl" -P "$1.bird.pid")
  fi
  rm -f "$files.new"
  echo "$2" >"$files"
}

# bgp_down NAMESPACE: ends the daemon and takes away its routes; nothing happens where there is none
bgp_down() {
  if process=$(bird_process "$1"); then
    kill -TERM "$process" 2>/dev/null || true
    tries=0
    while bird_process "$1" >/dev/null; do
      tries=$((tries + 1))
      # It takes its routes out of the kernel at its end, which is over in a moment.
      if [ "$tries" -gt 50 ]; then kill -KILL "$process" 2>/dev/null || true; fi
      sleep 0.1
    done
  fi
  # A daemon that was killed left its routes behind.
  ip -n "$1" route flush proto bird 2>/dev/null || true
  rm -f "$markers/$1".bird "$markers/$1".bird.*
}
