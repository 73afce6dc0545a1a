"""The shell scripts that run in a pod, for busybox's ash. ``capture.py`` puts them into manifests.

``HOLD`` is the native sidecar: it installs busybox, the wrapper and the inputs, waits until the wrapped containers have ended, and hands over
what they left: in its termination message if that fits, else by exec before somebody makes ``ctl/release``. ``RUN`` wraps a command: it passes
signals on, copies stdout, and packs outputs. They meet in one volume: ``bin``, ``in``, ``out`` (what is handed over) and ``ctl`` (pipes and marks).
Where exec may not be used, the holder fetches inputs and uploads outputs itself (``FLOWCORE_TASKS``), by URLs that lie in a Secret of the pod.
That a wrapper has ended, in whichever way, shows as the end of its pipe ``ctl/alive-NAME``, which only the wrapper holds open. They may be of
different users: what is packed can be read by all.
"""

from __future__ import annotations

HOLD = r"""
R=$1; note=$2; limit=$3; shift 3
umask 0
tasks() {
  printf '%s\n' "$FLOWCORE_TASKS" | while read -r kind n form size mode; do
    [ "$kind" = "$1" ] || continue
    script=$FLOWCORE_GET
    [ "$kind" = get ] || script=$FLOWCORE_PUT
    busybox sh -c "$script" task "$R" "$n" "$form" "$size" "$mode" < "/flowcore-urls/$kind-$n" > /dev/null 2> "$R/ctl/task.error"
    case $kind$? in
      get0) ;;
      get*) { echo "input artifact $n could not be fetched"; cat "$R/ctl/task.error"; } > "$R/out/missing" ;;
      put0) echo "$n" >> "$R/out/stored" ;;
      *) cat "$R/ctl/task.error" >> "$R/ctl/lost" ;;
    esac
  done
}
message() { tar -cf - out | gzip -9 | base64 | tr -d '\n' > ctl/message; }
over=
trap 'over=1' TERM INT HUP
if [ ! -e "$R/ctl/installed" ]; then
  mkdir -p "$R/bin" "$R/ctl" "$R/out" "$R/in" || exit 1
  cp "/proc/$$/exe" "$R/bin/busybox" || exit 1
  printf %s "$FLOWCORE_RUN" > "$R/bin/run.sh" || exit 1
  if [ -n "$FLOWCORE_INPUTS" ]; then
    printf %s "$FLOWCORE_INPUTS" | base64 -d | gzip -dc | tar -xf - -C "$R/in" || exit 1
    chmod -R a+rX "$R/in"
  fi
  tasks get
  for name; do mkfifo "$R/ctl/alive-$name" || exit 1; done
  chmod 1777 "$R/ctl" "$R/out"
  chmod 755 "$R/bin/busybox" "$R/bin/run.sh"
  : > "$R/ctl/installed"
fi
if [ $# = 0 ]; then
  while [ -z "$over" ]; do sleep 0.5; done
  exit 0
fi
readers=
for name; do
  [ -e "$R/ctl/$name.rc" ] && continue
  ( trap - TERM; cat "$R/ctl/alive-$name" > /dev/null; [ -e "$R/ctl/$name.rc" ] || echo 137 > "$R/ctl/$name.rc" ) &
  readers="$readers $!"
done
for reader in $readers; do
  while [ -z "$over" ] && kill -0 "$reader" 2> /dev/null; do wait "$reader"; done
done
: > "$R/ctl/over"
cd "$R" || exit 1
if [ -n "$FLOWCORE_TASKS" ]; then
  message
  [ "$(wc -c < ctl/message)" -le "$limit" ] || tasks put
fi
if [ "$(du -sk out | cut -f 1)" -le 512 ]; then
  message
  if [ "$(wc -c < ctl/message)" -le "$limit" ]; then
    cat ctl/message > "$note"
    exit 0
  fi
fi
if [ -n "$FLOWCORE_TASKS" ]; then
  rm -rf out/*
  head -c 500 ctl/lost > out/lost 2> /dev/null
  message
  cat ctl/message > "$note"
  exit 0
fi
: > ctl/held
until [ -e ctl/release ]; do sleep 0.2; done
"""

RUN = r"""
R=${0%/bin/*}; B=$R/bin/busybox; N=$1; shift
capture= sidecar= needs= retries=0 pause=0 count=0
while [ $# -gt 0 ]; do
  case $1 in
    -c) capture=1; shift ;;
    -s) sidecar=$2; shift 2 ;;
    -n) needs="$needs $2"; shift 2 ;;
    -r) retries=$2; shift 2 ;;
    -p) pause=$2; shift 2 ;;
    -i) "$B" mkdir -p "${3%/*}"; "$B" rm -rf "$3"; "$B" cp -a "$R/in/$2" "$3" || exit 64; shift 3 ;;
    -o) eval "output_$count=\$2"; count=$((count + 1)); shift 2 ;;
    --) shift; break ;;
  esac
done
child= asked= code=0
ask() { asked=1; [ -z "$child" ] || kill -TERM "$child" 2> /dev/null; }
trap ask TERM INT QUIT HUP USR1 USR2
exec 8<&0
if [ -z "$sidecar" ]; then exec 7> "$R/ctl/alive-$N"; else exec 7> /dev/null; fi
end() {
  echo "$1" > "$R/ctl/.$N.rc"
  "$B" mv "$R/ctl/.$N.rc" "$R/ctl/$N.rc"
  exit "$1"
}
if [ -e "$R/out/missing" ]; then "$B" cat "$R/out/missing" >&2; end 64; fi
for need in $needs; do
  until [ -e "$R/ctl/$need.rc" ]; do
    [ -z "$asked" ] || end 143
    "$B" sleep 0.2
  done
  read -r was < "$R/ctl/$need.rc"
  [ "$was" = 0 ] || end 64
done
case $1 in
  */*) program=$1 ;;
  *)
    program=
    old=$IFS; IFS=:
    for folder in $PATH; do
      if [ -z "$program" ] && [ -x "$folder/$1" ] && [ ! -d "$folder/$1" ]; then program=$folder/$1; fi
    done
    IFS=$old
    if [ -z "$program" ]; then echo "$1: command not found" >&2; end 127; fi ;;
esac
shift
begin() { exec "$program" "$@"; }
once() {
  [ -z "$asked" ] || end 143
  copier=
  if [ -n "$capture" ]; then
    "$B" rm -f "$R/ctl/pipe-$N"
    "$B" mkfifo "$R/ctl/pipe-$N"
    "$B" tee "$R/ctl/result" < "$R/ctl/pipe-$N" 7>&- 8<&- &
    copier=$!
    begin "$@" <&8 > "$R/ctl/pipe-$N" 7>&- 8<&- &
  else
    begin "$@" <&8 7>&- 8<&- &
  fi
  child=$!
  [ -z "$asked" ] || kill -TERM "$child" 2> /dev/null
  minder=
  if [ -n "$sidecar" ]; then
    (
      trap - TERM
      until [ -e "$R/ctl/over" ]; do "$B" sleep 0.2; done
      kill -TERM "$child"
      "$B" sleep "$sidecar"
      kill -KILL "$child"
    ) 7>&- 8<&- 2> /dev/null > /dev/null &
    minder=$!
  fi
  while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2> /dev/null || break
  done
  child=
  [ -z "$minder" ] || kill "$minder" 2> /dev/null
  if [ -n "$copier" ]; then
    for tick in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      kill -0 "$copier" 2> /dev/null || break
      "$B" sleep 0.1
    done
    kill "$copier" 2> /dev/null
  fi
}
once "$@"
while [ "$code" != 0 ] && [ -z "$asked" ] && [ "$retries" -gt 0 ]; do
  retries=$((retries - 1))
  "$B" sleep "$pause"
  once "$@"
done
umask 022
if [ "$N" = main ]; then
  if [ -e "$R/ctl/result" ]; then "$B" tail -c 262144 "$R/ctl/result" > "$R/out/result"; fi
  if [ -e "$R/ctl/progress" ]; then "$B" tail -n 1 "$R/ctl/progress" > "$R/out/progress"; fi
  number=0
  while [ "$number" -lt "$count" ]; do
    eval "path=\$output_$number"
    if [ -e "$path" ]; then
      path=$("$B" readlink -f "$path")
      folder=${path%/*}
      "$B" tar -cf "$R/out/$number.tar" -C "${folder:-/}" "./${path##*/}" 2> "$R/ctl/problem" || "$B" cp "$R/ctl/problem" "$R/out/$number.problem"
    fi
    number=$((number + 1))
  done
  echo "$code" > "$R/out/.rc"
  "$B" mv "$R/out/.rc" "$R/out/rc"
fi
end "$code"
"""

AWAIT_INSTALLED = r'until [ -e "$1/ctl/installed" ]; do sleep 0.1; done'
AWAIT_INPUTS = r'until [ -e "$1/ctl/inputs" ]; do sleep 0.2; done'
