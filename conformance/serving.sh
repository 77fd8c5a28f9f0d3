# What both jobs do: start a server, wait until it answers, stop it in the end. Sourced, not run.

# usage: start LOG URL COMMAND...  - waits until URL answers, at most five minutes
start() {
  local log=$1 url=$2; shift 2
  "$@" >"$log" 2>&1 &
  server=$!
  trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true' EXIT
  local began=$SECONDS
  until curl --silent --fail --max-time 2 --output /dev/null "$url"; do
    if ! kill -0 "$server" 2>/dev/null || ((SECONDS - began > 300)); then
      echo "the server did not start; the end of $log:" >&2
      tail -n 30 "$log" >&2
      exit 1
    fi
    sleep 1
  done
  echo "server ready after $((SECONDS - began)) s"
}

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
