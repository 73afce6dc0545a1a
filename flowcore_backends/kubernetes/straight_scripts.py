"""The shell scripts by which a pod itself puts files into a store or gets them from there, for busybox's ash. ``straight.py`` has them run.

Both read the signed URL from their stdin: arguments of exec are written down by servers that keep an audit log. Where the image has ``curl``, that
does the work; else busybox does, for http only, as it does not check whom it speaks to by https (and its wget may have been built without ``-T``:
what stands still is stopped from outside). What they end with says why it did not work.
"""

from __future__ import annotations

NOT_THERE, NOT_A_FILE, UNFIT, NO_ANSWER, REFUSED, NO_CURL, CUT = 3, 4, 5, 6, 7, 8, 9

_CURL = r"""
curl_for() {
  printf 'url = "%s"\n%s\n' "$url" "$1" |
    curl --disable --config - --fail --silent --show-error --connect-timeout 10 --speed-limit 1 --speed-time 60
  case $? in
    0) return 0 ;;
    22) return 7 ;;
    *) return 6 ;;
  esac
}
curl=$(command -v curl)
"""

PUT = (
    r"""
R=$1 n=$2 form=$3
read -r url; read -r host; read -r port; read -r header; read -r target
B=$R/bin/busybox f=$R/ctl/put-$n t=$R/out/$n.tar
"""
    + _CURL
    + r"""
case $curl$url in https://*) echo "there is no curl in this image" >&2; exit 8 ;; esac
trap '' PIPE
[ -e "$t" ] || exit 3
if [ "$form" = none ]; then
  [ "$("$B" tar -tf "$t" | "$B" wc -l)" = 1 ] || exit 4
  case "$("$B" tar -tf "$t")" in */) exit 4 ;; esac
  "$B" tar -xOf "$t" > "$f" || exit 5
else
  "$B" gzip -c "-$form" < "$t" > "$f" || exit 5
fi
if [ -n "$curl" ]; then
  curl_for "upload-file = \"$f\"" > /dev/null
  code=$?
  "$B" rm -f "$f"
  [ "$code" != 0 ] || "$B" rm -f "$t"
  exit "$code"
fi
"$B" rm -f "$f.in"
"$B" mkfifo "$f.in" || exit 5
"$B" nc -w 10 "$host" "$port" < "$f.in" > "$f.answer" 2> "$f.error" &
client=$!
exec 9> "$f.in"
{
  printf 'PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %s\r\nConnection: close\r\n\r\n' "$target" "$header" "$("$B" wc -c < "$f" | "$B" tr -d ' ')"
  "$B" cat "$f"
} >&9 2> /dev/null
turns=0
until [ -s "$f.answer" ] || ! kill -0 "$client" 2> /dev/null || [ "$turns" -ge 300 ]; do
  "$B" sleep 0.2
  turns=$((turns + 1))
done
read -r version status rest < "$f.answer"
exec 9>&-
kill "$client" 2> /dev/null
"$B" rm -f "$f" "$f.in"
case $status in
  2*) "$B" rm -f "$t"; exit 0 ;;
  '') "$B" cat "$f.error" >&2; echo "no answer from $host" >&2; exit 6 ;;
  *) echo "the store answered $status" >&2; exit 7 ;;
esac
"""
)

GET = (
    r"""
R=$1 n=$2 form=$3 size=$4 mode=$5
read -r url
B=$R/bin/busybox t=$R/ctl/get-$n d=$R/in/$n
"""
    + _CURL
    + r"""
case $curl$url in https://*) echo "there is no curl in this image" >&2; exit 8 ;; esac
"$B" rm -rf "$t" "$t.new" "$d"
if [ -n "$curl" ]; then
  curl_for "output = \"$t\"" || exit $?
else
  : > "$t"
  "$B" wget -q -O "$t" "$url" 2> "$t.error" &
  client=$!
  (
    idle=0 before=
    while [ "$idle" -lt 60 ]; do
      "$B" sleep 1
      now=$("$B" wc -c < "$t")
      if [ "$now" = "$before" ]; then idle=$((idle + 1)); else idle=0 before=$now; fi
    done
    kill "$client"
  ) > /dev/null 2>&1 &
  watcher=$!
  wait "$client"
  code=$?
  kill "$watcher" 2> /dev/null
  if [ "$code" != 0 ]; then
    "$B" cat "$t.error" >&2
    if "$B" grep -q 'HTTP/' "$t.error"; then exit 7; fi
    exit 6
  fi
fi
[ "$("$B" wc -c < "$t" | "$B" tr -d ' ')" = "$size" ] || { echo "what came is cut off" >&2; exit 9; }
zipped=
case $("$B" head -c 2 "$t" | "$B" od -An -tx1 | "$B" tr -d ' \n') in 1f8b) zipped=1 ;; esac
plain() { if [ -n "$zipped" ]; then "$B" gzip -dc < "$t"; else "$B" cat "$t"; fi; }
if [ "$form" = guess ]; then
  form=none
  if [ -n "$zipped" ] && [ -n "$(plain 2> /dev/null | "$B" tar -tf - 2> /dev/null | "$B" head -n 1)" ]; then form=tar; fi
fi
if [ "$form" = none ]; then
  "$B" mv "$t" "$d" || exit 5
else
  "$B" mkdir "$t.new" || exit 5
  plain | "$B" tar -xof - -C "$t.new" || exit 5
  [ -z "$("$B" find "$t.new" ! -type f ! -type d | "$B" head -n 1)" ] || { echo "there are links in the archive" >&2; exit 5; }
  "$B" rm -f "$t"
  if [ "$("$B" ls -A "$t.new" | "$B" wc -l)" = 1 ]; then
    "$B" mv "$t.new"/* "$d" 2> /dev/null || "$B" mv "$t.new"/.[!.]* "$d" || exit 5
    "$B" rmdir "$t.new"
  else
    "$B" mv "$t.new" "$d" || exit 5
  fi
fi
[ -z "$mode" ] || "$B" chmod $mode "$d" || exit 5
"$B" chmod -R ug-s,a+rX "$d"
"""
)

__all__ = ["CUT", "GET", "NOT_A_FILE", "NOT_THERE", "NO_ANSWER", "NO_CURL", "PUT", "REFUSED", "UNFIT"]
