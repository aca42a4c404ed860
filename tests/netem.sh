#!/usr/bin/env bash
# The agent's tests on packets in a kernel that has sch_netem, with `--netem` (NETEM_BACKENDS="netem queue": without it too): Debian's cloud kernel in a virtual
# machine (emulated: no KVM is needed) that holds nothing but busybox, iproute2, the agent and its tests. Nothing is installed: what is missing is
# fetched with apt-get and unpacked under target/. Not user-mode Linux: Debian's has netem, but nf_tables for bridges only, and the agent's
# rules and counters are nf_tables'.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
work=$(realpath -m "$target")/netem
mkdir -p "$work/packages"
patience=${NETEM_TIMEOUT:-900}

fail() {
    echo "netem: FAILED: $*" >&2
    exit 1
}

# Fetches packages, each with the dependencies that are not installed, and unpacks them to a directory.
fetch() {
    local into=$1
    shift
    command -v apt-get >/dev/null || fail "no apt-get to fetch $* with"
    (
        cd "$work/packages"
        # shellcheck disable=SC2046 # one word for each package
        apt-get download -qq $(apt-get install --simulate --no-install-recommends "$@" | awk '/^Inst/ { print $2 }') >/dev/null
        for package in *.deb; do dpkg -x "$package" "$into"; done
        rm -f -- *.deb
    ) || fail "could not fetch $*"
}

[ -x /bin/busybox ] || fail "no /bin/busybox: tests/needs.sh installs it"
if ! command -v qemu-system-x86_64 >/dev/null; then
    [ -x "$work/qemu/usr/bin/qemu-system-x86_64" ] || fetch "$work/qemu" qemu-system-x86
    qemu_libraries="$work/qemu/usr/lib/x86_64-linux-gnu:$work/qemu/lib/x86_64-linux-gnu"
    firmware=(-L "$work/qemu/usr/share/qemu" -L "$work/qemu/usr/share/seabios" -L "$work/qemu/usr/lib/ipxe/qemu")
    qemu() { LD_LIBRARY_PATH=$qemu_libraries timeout "$patience" "$work/qemu/usr/bin/qemu-system-x86_64" "${firmware[@]}" "$@"; }
else
    qemu() { timeout "$patience" qemu-system-x86_64 "$@"; }
fi
compgen -G "$work/kernel/boot/vmlinuz-*" >/dev/null || fetch "$work/kernel" linux-image-cloud-amd64
vmlinuz=$(compgen -G "$work/kernel/boot/vmlinuz-*" | tail -1)
release=${vmlinuz##*/vmlinuz-}

# Backends to run over: the suite `netem` starts its agents with `--netem` itself, so that it runs once.
backends=${NETEM_BACKENDS:-netem}
# Copies by nf_tables' `dup` out of a queue lock the processors of this kernel (6.1.0-56, in emulation) up; netem has no part in it.
# A correlated latency is the queue's in any case, and an emulated machine is too slow for 5000 packets a second through user space.
skipped="--skip duplic --skip doubled --skip is_not_copied --skip correlated"
# What is built knows the agent by its path, so that everything keeps its place in the machine.
suites=${NETEM_SUITES:-netem packets timing spread life}
programs=$(cargo test --quiet --manifest-path harness/agent/Cargo.toml --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | sort -u)
[ -n "$programs" ] || fail "nothing was built"

root=$work/root
rm -rf "$root"
mkdir -p "$root"/{bin,proc,sys,dev,tmp,run,lib/modules/"$release"/kernel}
cp /bin/busybox "$root/bin/"
put() { # a program with its libraries, each in its place
    local file
    for file in "$1" $(ldd "$1" 2>/dev/null | grep -o '/[^ )]*'); do
        mkdir -p "$root/$(dirname "$file")"
        cp -L "$file" "$root/$file"
    done
}
put "$(command -v ip)"
put "$(command -v tc)"
for program in $programs; do put "$program"; done
modules=$work/kernel/lib/modules/$release
for part in net/sched net/netfilter net/ipv4 net/ipv6 net/core lib crypto arch drivers/net/veth.ko; do
    [ -e "$modules/kernel/$part" ] || continue
    mkdir -p "$root/lib/modules/$release/kernel/$(dirname "$part")"
    cp -r "$modules/kernel/$part" "$root/lib/modules/$release/kernel/$part"
done
depmod=$(command -v depmod || echo "busybox depmod")
$depmod -b "$root" "$release" 2>/dev/null || fail "depmod"

{
    cat <<'INIT'
#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
for applet in sh mount chmod modprobe poweroff; do [ -e /bin/$applet ] || /bin/busybox ln -s busybox /bin/$applet; done
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
printf '#!/bin/sh\nexec /bin/busybox modprobe "$@"\n' >/run/modprobe; chmod +x /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
modprobe veth
ip link set lo up
INIT
    agent=$(grep '/shakedown-agent$' <<<"$programs")
    echo "$agent doctor --netem"
    for backend in $backends; do
        for suite in $suites; do
            [ "$suite $backend" != "netem queue" ] || continue
            program=$(grep "/$suite-[0-9a-f]*$" <<<"$programs" || true)
            [ -n "$program" ] || fail "no suite $suite"
            echo "SHAKEDOWN_TEST_BACKEND=$backend SHAKEDOWN_TEST_SLACK_MS=15 RUST_BACKTRACE=0 $program --test-threads=1 $skipped; echo \"SUITE $suite $backend \$?\""
        done
    done
    echo 'poweroff -f'
} >"$root/init"
chmod +x "$root/init"
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initramfs"

echo "netem: Linux $release in an emulated machine"
qemu -accel tcg -cpu max -m 1024 -smp 2 -nodefaults -no-reboot -display none -serial "file:$work/log" -kernel "$vmlinuz" \
    -initrd "$work/initramfs" -append "console=ttyS0 quiet panic=-1" </dev/null || echo "netem: the machine did not end by itself" >&2
tr -d '\r' <"$work/log" | grep -aE '^(test |SUITE|netem  |tbf  |queue  |thread|assertion|  left|  right)|panicked|soft lockup' || true

echo
bad=0
for backend in $backends; do
    for suite in $suites; do
        [ "$suite $backend" != "netem queue" ] || continue
        status=$(tr -d '\r' <"$work/log" | sed -n "s/^SUITE $suite $backend //p")
        [ "$status" = 0 ] || bad=1
        printf '%-8s %-6s %s\n' "$suite" "$backend" "$([ "$status" = 0 ] && echo passed || echo "FAILED (${status:-never ended})")"
    done
done
echo "not run in this machine: $skipped"
[ "$bad" = 0 ] || fail "see $work/log"
