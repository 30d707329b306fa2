#!/usr/bin/env bash
# The tests of the kernels on an emulated processor with AVX-VNNI, AVX-512 and its VNNI, for machines that lack them: Bochs and
# Debian's kernel. Nothing can be measured there. AMX is left out, for Bochs 3.0 does not keep its registers from one thread to
# the next, and takes signed bytes for unsigned ones.
# usage: run.sh [FILTER…]   (tests whose names contain one of them; all: more than half an hour; a few minutes more the first time)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir="${XDG_CACHE_HOME:-$HOME/.cache}/axllm-test/emulate"
mkdir -p "$dir"
work=$(mktemp -d "$dir/work.XXXX")
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

packages=(bochsbios vgabios isolinux syslinux-common xorriso cpio busybox-static xz-utils curl g++ make patch)
dpkg -s "${packages[@]}" >/dev/null 2>&1 || {
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
}

# From Debian's source, which may lie in another release than this machine's.
bochs="$dir/bochs-3.0-$(sha256sum "$here/bochs.patch" | cut -c1-8)"
if [[ ! -x "$bochs" ]]; then
  site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1)
  curl -fsSL "$site/pool/main/b/bochs/bochs_3.0+dfsg.orig.tar.xz" -o "$work/bochs.tar.xz"
  echo "78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b  $work/bochs.tar.xz" | sha256sum --quiet -c
  mkdir "$work/bochs"
  cd "$work/bochs"
  tar -xf "$work/bochs.tar.xz" --strip-components=1
  patch -sp1 <"$here/bochs.patch"
  ./configure --enable-cpu-level=6 --enable-x86-64 --enable-avx --enable-evex --enable-pci --enable-all-optimizations \
    --with-nogui --disable-plugins --disable-docbook >configure.log 2>&1
  make -j"$(nproc)" >make.log 2>&1 || { tail -n 20 make.log >&2; exit 1; }
  mv bochs "$bochs"
fi

if [[ ! -e "$dir/vmlinuz" ]]; then
  kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
  cd "$work"
  apt-get -o APT::Sandbox::User=root download -qq "$kernel" >&2
  dpkg -x "$kernel"_*.deb kernel
  mv kernel/boot/vmlinuz-* "$dir/vmlinuz"
fi

# A disk with the test programs, which run one after the other; a triple fault then ends the emulator.
root="$work/root"
mkdir -p "$root"/{bin,dev,proc,sys,tests} "$work/disk/isolinux"
cp /bin/busybox "$root/bin/busybox"
mapfile -t programs < <(cd "$here" && cargo test --release -p kernels --lib --tests --no-run --message-format=json |
  sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
((${#programs[@]} > 0)) || exit 1 # cargo has said why
for program in "${programs[@]}"; do
  strip "$program" -o "$root/tests/$(basename "$program")"
  ldd "$program" | grep -oE '/[^ ]+' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -n "$library" "$root$library"
  done
done
cat >"$root/init" <<INIT
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1
/bin/busybox grep -m1 flags /proc/cpuinfo | /bin/busybox tr ' ' '\n' | /bin/busybox grep avx | /bin/busybox tr '\n' ' '
echo
for program in /tests/*; do "\$program" --test-threads=1 $* 2>&1 | /bin/busybox cut -c1-300; done
/bin/busybox sleep 1 # what was printed is still on its way
/bin/busybox reboot -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$work/disk/initrd.gz"
cp "$dir/vmlinuz" "$work/disk/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/disk/isolinux/"
printf '%s\n' 'DEFAULT tests' 'LABEL tests' ' KERNEL /vmlinuz' ' INITRD /initrd.gz' \
  ' APPEND console=ttyS0 quiet acpi=off mitigations=off reboot=triple' >"$work/disk/isolinux/isolinux.cfg"
xorriso -as mkisofs -quiet -o "$work/disk.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat \
  -no-emul-boot -boot-load-size 4 -boot-info-table "$work/disk" 2>/dev/null

cat >"$work/bochsrc" <<RC
cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=0, add_features="avx512vnni,avx_vnni"
megs: 512
display_library: nogui
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
clock: sync=none
ata0-master: type=cdrom, path=$work/disk.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
log: $work/log
panic: action=fatal
RC
touch "$work/serial"
"$bochs" -q -f "$work/bochsrc" </dev/null >"$work/bochs.out" 2>&1 &
tail -f --pid=$! "$work/serial" | stdbuf -oL tr -d '\r'
grep -q '^test .* \.\.\. ok' "$work/serial" || { echo "emulate: no test passed" >&2; exit 1; }
passed=$(grep -c '^test result: ok' "$work/serial" || true)
if ((passed != ${#programs[@]})); then
  echo "emulate: $passed of ${#programs[@]} test programs passed" >&2
  exit 1
fi
