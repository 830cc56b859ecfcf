#!/bin/sh
# Build the extensions under AddressSanitizer, and run their tests:
#
#     tests/integration/asan.sh [PYTHON [TEST...]]
#     tests/integration/asan.sh PYTHON -m MODULE [ARGUMENT...]      # a fuzzer, say
#
# Leaves nothing behind. Python's own allocator is switched off, so that every
# object is the sanitizer's; leaks are counted by test_reactor_leaks instead,
# for CPython itself never frees all it has.
set -eu
python=$(command -v "${1:-python3}")
case $python in /*) ;; *) python=$PWD/$python ;; esac
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- tests.integration.test_reactor_rules \
    tests.integration.test_reactor_stream_rules tests.integration.test_reactor_loop tests.integration.test_reactor_generic \
    tests.integration.test_reactor_epoll_rules tests.integration.test_reactor_relay tests.integration.test_reactor_watch tests.integration.test_reactor_transports \
    tests.integration.test_reactor_leaks.EngineTests tests.integration.test_reactor_leaks.EngineTestsOnEpoll tests.relay.test_flow tests.relay.test_scheduler \
    tests.integration.test_reactor_processes tests.fastpath.test_differential tests.fastpath.test_differential_guests \
    tests.fastpath.test_body_frames tests.fastpath.test_gathered_memory tests.fastpath.test_held_frames tests.fastpath.test_tunnels tests.fastpath.test_tunnel_openings tests.fastpath.test_answer_streams tests.fastpath.test_route_cache tests.fastpath.test_waiting_queue tests.fastpath.test_hpack tests.fastpath.test_http2_differential tests.fastpath.test_http2_uploads tests.fastpath.test_http2_collected tests.fastpath.test_sites \
    tests.fastpath.test_http2_sites tests.wire.test_whole \
    tests.frontend.tls.test_system_engine tests.frontend.tls.test_wheel_engine tests.frontend.tls.test_differential \
    tests.frontend.peer.test_host_transport tests.frontend.peer.test_host_differential tests.fastpath.test_peer tests.fastpath.test_hosts \
    tests.frontend.tls.test_client_certificates tests.fastpath.test_client_certificates \
    tests.integration.test_reactor_conformance
[ "$1" = -m ] || set -- -m twisted.trial "$@"
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cd "$root"
CFLAGS="-fsanitize=address -fno-omit-frame-pointer -g -O1" LDFLAGS="-fsanitize=address" \
    "$python" setup.py -q build --build-base "$build" --build-lib "$build/lib" >"$build/log" 2>&1 ||
    { cat "$build/log"; exit 1; }
cp -r tests "$build/lib/"
cp -r twisted "$build/lib/"
cd "$build/lib"
PYTHONPATH="$build/lib" SUBPROXY_CONFORMANCE_LIMIT=900 PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 \
    LD_PRELOAD="$("${CC:-cc}" -print-file-name=libasan.so)" \
    timeout -k 5 "${ASAN_TIMEOUT:-1500}" "$python" "$@"
