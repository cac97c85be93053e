# What the measurements of the relay share: the programs, a folder for one run, the body, and how wrk's answers are
# counted. Sourced from the repository's root; needs wrk.
cargo build --release --quiet -p posthaste-cli -p posthaste-bench-relay
bench=target/release/posthaste-bench-relay posthaste=target/release/posthaste
work=$(mktemp -d "${BENCH_DIR:-.}/bench-relay.XXXXXX")
pids=()
stop() {
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
  pids=()
}
trap 'stop; rm -rf "$work"' EXIT
export BODY=$work/body.json
python3 - "$BODY" <<'P'
import json, sys
event = lambda n: {"entity_id": "60011", "key": "campaign_activated", "timestamp": 1795559589561, "uuid": "UUID" if n == 0 else f"5b0a4c9e-0000-4000-8000-{n:012d}"}
visitor = lambda n: {"visitor_id": f"visitor-{n:04d}", "attributes": [{"entity_id": "20010", "key": "plan", "type": "custom", "value": "pro"}, {"entity_id": "20012", "key": "logged_in", "type": "custom", "value": True}], "snapshots": [{"decisions": [{"campaign_id": "60011", "experiment_id": "40011", "variation_id": "70111"}], "events": [event(n)]}]}
body = {"account_id": "10000001", "project_id": "10000002", "revision": "42", "client_name": "node-sdk", "client_version": "6.6.1", "anonymize_ip": True, "enrich_decisions": True, "visitors": [visitor(n) for n in range(4)]}
text = json.dumps(body, separators=(",", ":"))
open(sys.argv[1], "w").write(text)
print(len(text), "bytes a body", file=sys.stderr)
P
start() { "$@" >"$work/out" 2>"$work/err" & pids+=($!); }
cpu() { awk '{print $14 + $15}' "/proc/$1/stat"; }

# Waits until somebody listens at this port of this machine.
listens() { for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return; sleep 0.05; done; }
# An upstream that answers this, and a relay to it with these options.
start_relay() { # status options...
  local status=$1
  shift
  start $bench upstream 127.0.0.1:18312 "$status"
  start $posthaste relay --listen 127.0.0.1:18313 --admin 127.0.0.1:18314 --upstream http://127.0.0.1:18312/v1/events "$@"
}
# Loads a server for a while: requests that got 204, the seconds that took, and what wrk said.
load() { # port seconds
  wrk -t2 -c64 -d"${2}s" --latency -s bench/relay/post.lua "http://127.0.0.1:$1" |
    awk '{print} /requests in/ {n = $1; gsub(/s,/, "", $4); s = $4 + 0} /Non-2xx/ {bad = $NF} END {printf "taken %d %.2f\n", n - bad, s}'
}
