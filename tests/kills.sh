#!/usr/bin/env bash
# Kills shakedown at random moments and counts what is left: the promise is that no fault outlives a run.
#
#   tests/kills.sh [N]               N rounds (200); a table at the end; exit code 1 where anything was left or an exit code is undocumented
#   ROUND=n SEED=s tests/kills.sh    that round again (with the same RUNTIME, if it was set)
#
# SHAKEDOWN_BINARY (target/release/shakedown), SEED (of everything random), RUNTIME=docker|process (both where an engine answers).
# Needs: root, python3, nft, the shop (`make shop`); containers where an engine answers on a unix socket of this machine.
#
# It touches its own runs only. `shakedown recover` also sweeps what other dead runs left, which may be somebody's test: here it sees
# the engine through a proxy that knows this run alone, and /proc without other runs' processes.
set -euo pipefail
cd "$(dirname "$0")/.."
ulimit -c 0
rounds=${1:-200}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
only=${ROUND:-}
binary=${SHAKEDOWN_BINARY:-target/release/shakedown}
wanted=${RUNTIME:-}
for variable in $(compgen -e); do
    case $variable in SHAKEDOWN_* | SHOP_* | GITHUB_* | CI | RUNTIME | ROUND | SEED | DOCKER_HOST) unset "$variable" ;; esac
done
export NO_COLOR=1
# The shell tells of each child that a signal ended; here that is no news.
exec 2> >(grep --line-buffered -vE 'line [0-9]+: +[0-9]+ (Killed|Quit|Hangup|Terminated|Interrupt)' >&2)
[ "$(id -u)" = 0 ] || { echo "kills: needs root" >&2; exit 2; }
[ -x fixtures/shop/image/shop ] || { echo "kills: fixtures/shop/image/shop is not there: make shop" >&2; exit 2; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/kills.XXXXXX")
shakedown=$scratch/shakedown # somebody may build while this runs
cp "$binary" "$shakedown"
cp fixtures/shop/image/shop "$scratch/shop"
mkdir "$scratch/nothing"

### What is run

LOAD='load:
  checkout: { to: "gateway:8080", request: POST /checkout, body: "{\"sku\": {{ rand(0, 499) }}, \"quantity\": 1}", rate: 40/s, timeout: 2s }
steady_state: [{ load: checkout, success: ">= 10%" }]'
PROCESSES='services:
  process:
    payment: { run: [./shop, payment], env: { LISTEN: "{{ listen }}" }, ready: { http: /readyz } }
    orders: { run: [./shop, orders], env: { LISTEN: "{{ listen }}", DATABASE_URL: "memory:", PAYMENT_URL: "http://{{ payment }}", PAYMENT_TIMEOUT_MS: "500" }, ready: { http: /readyz }, depends_on: [payment] }
    catalog: { run: [./shop, catalog], env: { LISTEN: "{{ listen }}", DATABASE_URL: "memory:", REDIS_URL: "memory:" }, ready: { http: /readyz } }
    gateway: { run: [./shop, gateway], env: { LISTEN: "{{ listen }}", CATALOG_URL: "http://{{ catalog }}", ORDERS_URL: "http://{{ orders }}" }, ready: { http: /readyz }, depends_on: [catalog, orders] }'
EDGE='"orders -> payment"'
declare -A FAULTS=(
    [latency]="on: $EDGE, latency: { delay: 100ms, jitter: 20ms }" [partition]="on: $EDGE, partition: {}"
    [loss]="on: $EDGE, loss: { share: 20% }" [slicer]="on: $EDGE, slicer: { size: 64B, delay: 1ms }"
    [pause]="on: payment, pause: {}" [kill]="on: payment, kill: {}" [stop]="on: payment, stop: {}"
    [http]="on: $EDGE, http: { share: 20%, abort: 503 }" [reset]="on: $EDGE, reset: {}"
    [cpu]="on: payment, cpu: { load: 50% }" [memory]="on: payment, memory: { use: 20MiB }" [limit]="on: payment, cpu: { quota: 50% }"
    [disk]="on: postgres, disk: { path: /var/lib/postgresql, ops: fsync, delay: 5ms }" [clock]="on: payment, clock: { offset: -1h }"
)

# The shop's compose file with the images that are there, and a volume.
sed -e '/^ *build:/d' -e '/^  redis:$/a\    volumes: ["cache:/cache"]' fixtures/shop/compose.yaml >"$scratch/compose.yaml"
printf 'volumes: { cache: {} }\n' >>"$scratch/compose.yaml"

engine_socket() {
    local host
    host=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null) || return 1
    [ "$host" != "${host#unix://}" ] && docker image inspect shakedown-shop:dev shakedown-shop-postgres:dev shakedown-shop-redis:dev \
        >/dev/null 2>&1 && printf '%s' "${host#unix://}"
}
socket=$(engine_socket) || socket=
runtimes=(process)
[ -z "$socket" ] || runtimes=(docker process)
[ -n "$socket" ] || echo "kills: no engine with the shop's images answers: processes only"
[ -z "$wanted" ] || runtimes=("$wanted")

### What is drawn

draw() { # sets `drawn` to 0 … $1 - 1; not for a subshell, which draws from elsewhere
    drawn=$(((RANDOM << 15 | RANDOM) % $1))
}

draw_round() { # sets runtime, kind, signal, steady, delay, hasty
    local -a kinds signals
    RANDOM=$(((seed * 7919 + $1) % 2147483647))
    draw 2; draw 2; draw 2 # the first of close seeds are close
    draw ${#runtimes[@]}; runtime=${runtimes[drawn]}
    kinds=(latency partition slicer pause http)
    [ "$runtime" = process ] || kinds=(latency partition loss pause kill stop http reset cpu memory limit disk clock)
    draw ${#kinds[@]}; kind=${kinds[drawn]}
    signals=(INT TERM HUP QUIT KILL)
    [[ $runtime = docker && ${FAULTS[$kind]} = *"$EDGE"* ]] && signals+=(agent both)
    draw ${#signals[@]}; signal=${signals[drawn]}
    draw 2; steady=$((drawn + 1))
    # From the start of the harness to its end on an idle machine; where an agent is to die, from when it stands.
    local length=$((4000 + steady * 1000))
    case $runtime$signal in docker[ab]*) ;; docker*) length=$((length + 3500)) ;; *) length=$((length + 500)) ;; esac
    draw 3; [ "$drawn" != 0 ] || length=1000 # most things come into being in the first second
    draw "$length"; delay=$drawn
    draw 2; hasty=$drawn # recover at once, or look first whether packet faults go by themselves
}

### What is left

labelled() { # run: its containers, networks and volumes, by label and by name: the engine itself makes a volume without labels
    [ -n "$socket" ] || return 0
    local filter
    for filter in "label=dev.shakedown.run=$1" "name=sd-$1-"; do
        docker ps --all --filter "$filter" --format 'container {{.Names}} ({{.Status}})'
        docker network ls --filter "$filter" --format 'network {{.Name}}'
        docker volume ls --filter "$filter" --format 'volume {{.Name}}'
    done | sort -u
}

processes() { # folder, run: processes that were started in it or carry its mark
    local pid
    {
        grep -lsF -e "$1" /proc/[0-9]*/environ || :
        [ -z "$2" ] || grep -lszxF "SHAKEDOWN_RUN=$2" /proc/[0-9]*/environ || :
        find /proc -maxdepth 2 \( -path '/proc/[0-9]*/cwd' -o -path '/proc/[0-9]*/exe' \) -lname "$1*" 2>/dev/null || :
    } | cut -d/ -f3 | sort -u | while read -r pid; do
        [ ! -d "/proc/$pid" ] || echo "process $pid ($(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline"))"
    done
}

tables() { # network namespaces: the agent's tables in them
    local place
    for place; do
        # The engine leaves the name of a namespace that is gone for a while: entering it fails.
        [ ! -e "$place" ] || { nsenter --net="$place" nft list tables 2>/dev/null || :; } | sed -n "s,^table .*shakedown_.*,nft & in $place,p"
    done
}

look() { # remembers the containers of the run: ids, network namespaces, mounts, first processes
    [[ $runtime = docker && -n $run ]] || return 0
    local -a ids
    mapfile -t ids < <(docker ps --all --quiet --no-trunc --filter "label=dev.shakedown.run=$run")
    [ ${#ids[@]} = 0 ] || docker inspect --format \
        '{{.Name}} {{.Id}} {{.State.Pid}} {{or .NetworkSettings.SandboxKey "-"}} {{or .GraphDriver.Data.MergedDir "-"}}' "${ids[@]}" >>"$folder/seen" 2>/dev/null || :
}

seen() { # column: what was remembered
    [ ! -s "$folder/seen" ] || awk -v column="$1" '$column != "-" && $column != 0 { print $column }' "$folder/seen" | sort -u
}

namespaces() { seen 4 | grep '^/' || :; }

files() { # what is in the folder beyond runs, caches and baselines
    find "$folder/tree" -mindepth 1 \( -path '*/tree/.shakedown/runs' -o -path '*/tree/.shakedown/cache' \
        -o -path '*/tree/.shakedown/baselines' \) -prune -o -printf '%P\n' | grep -vxF -e .shakedown -e .shakedown/.gitignore | sort
}

pending() { # undos that the journal still holds
    local journal=$folder/tree/.shakedown/runs/$run/journal.jsonl
    [[ -z $run || ! -s $journal ]] || python3 - "$journal" <<'PY'
import json, sys
pending = {}
for line in open(sys.argv[1]):
    try:
        record = json.loads(line)
    except ValueError:
        continue
    if "intend" in record:
        pending[record["intend"]] = record["change"]["undo"]
    pending.pop(record.get("settle"), None)
for number, undo in pending.items():
    print(f"undo {number} in the journal ({undo})")
PY
}

left() { # everything that is left of the round, one a line
    local -a places
    [ -z "$run" ] || labelled "$run"
    processes "$folder/" "$run"
    mapfile -t places < <(namespaces)
    tables "${places[@]}" | sort -u
    comm -13 "$folder/tables" <(nft list tables 2>/dev/null | sort) | sed -n 's,^table .*shakedown_.*,nft & on the host,p'
    { echo "$folder/"; seen 2; seen 4; seen 5; } | grep -vx '' | grep -F -f - /proc/self/mountinfo | cut -d' ' -f5 | sed 's/^/mount /' || :
    seen 2 | { grep -lsF -f /dev/stdin /proc/[0-9]*/cmdline || :; } | sed 's/^/a process of the engine for a container of the run: /'
    files | comm -13 "$folder/files" - | sed 's/^/file /'
    pending
}

### What happens

PROXY='
import os, re, socket, sys, threading
listen, engine, runs = sys.argv[1:]
lists = re.compile(rb"GET \S*/(containers/json|networks|volumes)[? ]")
def carry(source, sink, narrow):
    run = ((os.listdir(runs) if os.path.isdir(runs) else []) or ["none"])[0].encode()
    ours = b"%22dev.shakedown.run%3D" + run + b"%22"
    removes = re.compile(rb"(DELETE|POST) \S*/(containers|networks|volumes|images)/(?!sd-" + run + rb"-)")
    try:
        while data := source.recv(65536):
            if narrow:
                data = data.replace(b"%22dev.shakedown.run%22", ours)
                if lists.search(data) and ours not in data or removes.search(data):
                    print("refused", data[:200], file=sys.stderr, flush=True)
                    break
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
server = socket.socket(socket.AF_UNIX)
server.bind(listen)
server.listen()
while True:
    near = server.accept()[0]
    far = socket.socket(socket.AF_UNIX)
    far.connect(engine)
    for source, sink, narrow in ((near, far, True), (far, near, False)):
        threading.Thread(target=carry, args=(source, sink, narrow), daemon=True).start()
'

open_proxy() { # before the harness starts, so that recovery can follow a kill at once
    proxy=''
    [ -n "$socket" ] || return 0
    python3 -c "$PROXY" "$folder/proxy" "$socket" "$folder/tree/.shakedown/runs" 2>"$folder/proxy.log" &
    proxy=$!
    until [ -S "$folder/proxy" ]; do sleep 0.02; done
}

close_proxy() {
    [ -z "$proxy" ] || { kill "$proxy" && wait "$proxy"; } 2>/dev/null || :
    proxy=''
}

recover() { # sets `recovered` to the exit code; see the head of this file
    local pid strangers=''
    for pid in $(grep -lsz '^SHAKEDOWN_RUN=' /proc/[0-9]*/environ | cut -d/ -f3 || :); do
        grep -qszxF "SHAKEDOWN_RUN=$run" "/proc/$pid/environ" || strangers+=" $pid"
    done
    recovered=0
    # shellcheck disable=SC2016 # for the inner shell
    DOCKER_HOST=unix://$folder/proxy TMPDIR=$folder/tree/tmp unshare --mount --propagation private bash -c '
        for pid in $3; do mount --bind "$2" "/proc/$pid" 2>/dev/null || [ ! -e "/proc/$pid" ] || exit 99; done
        cd "$1" && exec "$0" recover' "$shakedown" "$folder/tree" "$scratch/nothing" "$strangers" \
        </dev/null >>"$folder/recover.out" 2>&1 || recovered=$?
}

prepare() {
    folder=$scratch/$round
    run='' harness='' recovered=-
    mkdir -p "$folder/tree/tmp"
    {
        if [ "$runtime" = docker ]; then echo 'services: { compose: compose.yaml }'; else echo "$PROCESSES"; fi
        echo "$LOAD"
        echo "phases: { warmup: 1s, steady: ${steady}s, recovery: 1s }"
        echo "scenarios: [{ scenario: $kind, faults: [{ for: 2s, ${FAULTS[$kind]} }], expect: { fault: [{ load: checkout, success: \">= 1%\" }] } }]"
    } >"$folder/tree/shakedown.yaml"
    if [ "$runtime" = docker ]; then cp "$scratch/compose.yaml" "$folder/tree"; else ln "$scratch/shop" "$folder/tree"; fi
    files >"$folder/files"
    nft list tables 2>/dev/null | sort >"$folder/tables" || :
}

# The shell ignores INT and QUIT in what it starts in the background: `env` takes that back.
launch() {
    TMPDIR=$folder/tree/tmp env --chdir="$folder/tree" --default-signal=INT,TERM,HUP,QUIT \
        "$shakedown" run --runtime "$runtime" --baseline-mode none --seed "$round" </dev/null >"$folder/stdout" 2>"$folder/stderr" &
    harness=$!
    started=$(clock)
}

clock() { echo $((${EPOCHREALTIME/./} / 1000)); }
nap() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }
alive() { # the harness, and not somebody who has got its number
    [[ -n $harness && $(cat "/proc/$harness/stat" 2>/dev/null) =~ ^[0-9]+\ \(.*\)\ [A-Y]\ $$\  ]]
}

agents() { # pids of the run's agents
    local pid
    [ -s "$folder/seen" ] || return 0 # killed before there was any
    awk '$1 ~ /-(agent|relay|warden)[0-9]+$/ && $3 > 0 { print $3 }' "$folder/seen" 2>/dev/null | while read -r pid; do
        [ "$(tr -d '\0' 2>/dev/null <"/proc/$pid/cmdline")" != /agent ] || echo "$pid"
    done | sort -u
}

find_run() { run=$(find "$folder/tree/.shakedown/runs" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | head -n 1) || :; }

strike() { # waits for the moment and sends the signal; sets landed, moment, at
    local -a victims=()
    landed=no
    if [[ $signal = agent || $signal = both ]]; then
        while alive; do
            find_run
            [ -z "$run" ] || ! docker ps --filter "label=dev.shakedown.run=$run" --format '{{.Names}}' | grep -qE -- '-(agent|relay|warden)[0-9]*$' || break
            sleep 0.1
        done
        started=$(clock)
    fi
    nap "$delay"
    find_run
    # It takes a while: not where the first moments are meant.
    [ "$delay" -lt 1000 ] && [[ $signal != agent && $signal != both ]] || look
    moment=$(tail -n 1 "$folder/stderr" 2>/dev/null | sed 's/^ *//' | cut -c -60) || :
    case $signal in
        agent) mapfile -t victims < <(agents) ;;
        both) mapfile -t victims < <(echo "$harness"; agents) ;;
        *) victims=("$harness") ;;
    esac
    at=$(($(clock) - started))
    if alive && [ ${#victims[@]} -gt 0 ]; then
        case $signal in agent | both) kill -KILL "${victims[@]}" ;; *) kill "-$signal" "$harness" ;; esac && landed=yes
    fi 2>/dev/null
    struck=$(clock)
    find_run
    # The engine answers only when it is done with what it was asked before.
    [[ $delay -ge 1000 || $hasty = 1 || $signal != KILL ]] || look
}

await() { # the end of the harness; sets code and took
    code=
    while alive; do
        if [ $(($(clock) - struck)) -gt 150000 ]; then
            code=hung
            kill -KILL "$harness" 2>/dev/null || :
        fi
        sleep 0.05
    done
    local status=0
    wait "$harness" 2>/dev/null || status=$?
    code=${code:-$status}
    harness=
    took=$(($(clock) - struck))
    find_run
}

documented() { # whether docs/exit-codes.md has it; a signal may come too late, and 137 is the shell's word for the KILL that was sent
    case $signal$landed$code in
        *yes0 | *yes1 | *yes3 | *yes4 | *no0 | *no1 | *no3 | *no4) ;;
        INTyes130 | TERMyes143 | HUPyes130 | HUPyes143 | QUITyes130 | QUITyes143 | KILLyes137 | bothyes137) ;;
        *) return 1 ;;
    esac
}

by_themselves() { # packet faults go with their agent or with the harness, without recovery: what has not within 5 s
    local -a places
    local until=$(($(clock) + 5000)) found
    mapfile -t places < <(namespaces)
    while :; do
        found=$(tables "${places[@]}" | sort -u; [ "$signal" = agent ] || agents | sed 's/^/agent, pid /')
        [[ -n $found && $(clock) -lt $until ]] || break
        sleep 0.1
    done
    [ -z "$found" ] || printf '%s, 5 s after the kill\n' "${found//$'\n'/, }"
}

declare -A struck_rounds hit leaked kept odd codes
leaks=0 odds=0 runs=() told='' playing='' proxy=''
SHOWN=8 # lines of a leak

play() {
    round=$1
    draw_round "$round"
    prepare
    open_proxy
    playing=yes
    launch
    strike
    : >"$folder/leaks"
    if [ "$signal" = agent ] && [ $landed = yes ]; then by_themselves >>"$folder/leaks"; fi
    await
    case $signal in
        KILL | both)
            if [ "$hasty" = 0 ]; then
                if [ "$runtime" = docker ]; then by_themselves >>"$folder/leaks"; else sleep 0.5; fi
            fi
            recover
            ;;
    esac
    if [ "$recovered" = - ]; then
        left >>"$folder/leaks"
        [ ! -s "$folder/leaks" ] || recover
    fi
    if [ "$recovered" != - ]; then left | sed 's/$/, after recover too/' >>"$folder/leaks"; fi
    [[ $recovered = - || $recovered = 0 ]] || sed "s/^/recover exited with $recovered: /" "$folder/recover.out" >>"$folder/leaks"
    playing=''
    close_proxy
    runs+=("$round $run")
    tell
}

tell() {
    local key="$runtime $signal" again="ROUND=$round SEED=$seed"
    [ -z "$wanted" ] || again="RUNTIME=$wanted $again"
    struck_rounds[$key]=$((${struck_rounds[$key]:-0} + 1))
    [ $landed = no ] || hit[$key]=$((${hit[$key]:-0} + 1))
    [[ " ${codes[$key]:-} " = *" $code "* ]] || codes[$key]="${codes[$key]:+${codes[$key]} }$code"
    echo "round $round: $runtime, $kind, $signal at $at ms ($([ $landed = yes ] || printf 'too late, ')${moment:-nothing said yet}): exit code $code after $took ms, recover $recovered"
    if [ -s "$folder/leaks" ]; then
        leaks=$((leaks + 1))
        leaked[$key]=$((${leaked[$key]:-0} + 1))
        ! grep -q 'after recover too$' "$folder/leaks" || kept[$key]=$((${kept[$key]:-0} + 1))
        head -n "$SHOWN" "$folder/leaks" | sed "s/^/  LEFT: /"
        [ "$(wc -l <"$folder/leaks")" -le "$SHOWN" ] || echo "  LEFT: … all $(wc -l <"$folder/leaks") of them: $folder/leaks"
        echo "  again: $again tests/kills.sh   (folder $folder, run ${run:-none}, delay $delay ms)"
    fi
    if ! documented; then
        odds=$((odds + 1))
        odd[$key]=$((${odd[$key]:-0} + 1))
        echo "  EXIT CODE $code is not documented for $signal; again: $again tests/kills.sh (folder $folder)"
        tail -n 3 "$folder/stderr" | sed 's/^/    /'
    elif [ "$code" = 4 ]; then
        tail -n 3 "$folder/stderr" | sed 's/^/    /'
    fi
    if [ ! -s "$folder/leaks" ] && documented; then rm -rf "$folder"; fi
}

# Whatever came into being only after its round was looked at.
late() {
    local entry found
    for entry in "${runs[@]}"; do
        run=${entry#* }
        [ -n "$run" ] || continue
        found=$(labelled "$run"; processes "$scratch/${entry% *}/" "$run")
        [ -n "$found" ] || continue
        leaks=$((leaks + 1))
        echo "round ${entry% *} (SEED=$seed, run $run), at the end of all rounds:"
        printf '  LEFT: %s\n' "${found//$'\n'/$'\n  LEFT: '}"
    done
}

summary() {
    local key
    told=yes
    echo
    echo "| runtime | signal | rounds | met a live run | exit codes | undocumented | leaks | leaks after recover |"
    echo "|---|---|---|---|---|---|---|---|"
    for key in "${!struck_rounds[@]}"; do
        echo "| ${key% *} | ${key#* } | ${struck_rounds[$key]} | ${hit[$key]:-0} | ${codes[$key]} | ${odd[$key]:-0} | ${leaked[$key]:-0} | ${kept[$key]:-0} |"
    done | sort
    echo
    echo "$leaks leaks and $odds undocumented exit codes in ${#runs[@]} rounds, $((SECONDS / 60)) min; SEED=$seed"
}

leave() {
    if [ -n "$playing" ]; then # we are ended ourselves, in the middle of a round
        ! alive || { kill -TERM "$harness" && wait "$harness"; } 2>/dev/null || :
        find_run
        recover || :
        runs+=("$round $run")
    fi
    close_proxy
    [ -n "$told" ] || { late; summary; }
    if [ $((leaks + odds)) = 0 ]; then rm -rf "$scratch"; else echo "kept: $scratch"; fi
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ -n "$only" ]; then
    play "$only"
else
    for ((number = 1; number <= rounds; number++)); do play "$number"; done
fi
late
summary
[ $((leaks + odds)) = 0 ]
