#!/usr/bin/env bash
# u-root's cpio: of files with several names all but the last come out empty.
#
# In a newc archive, which an initramfs is, all names of a file have its inode, and its data is at
# any one of them (Linux, Documentation/driver-api/early-userspace/buffer-format.rst, which says
# that GNU cpio takes the last). u-root's cpio counts on the first: of that it makes an empty file,
# and of the name with the data another file, and says nothing. What it packs itself it unpacks
# right, and the kernel and GNU cpio read both.
# Seen with u-root 0.16.0 and GNU cpio 2.13.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
export GOMODCACHE=$folder/modules GOBIN=$folder GOFLAGS=-mod=mod GOTOOLCHAIN=local
go install github.com/u-root/u-root/cmds/core/cpio@v0.16.0 >said 2>&1 || { cat said; exit 1; }
mkdir files gnu u-root
echo hello >files/first
ln files/first files/second
(cd files && printf '%s\n' first second | cpio --quiet -o -H newc) >archive
(cd gnu && cpio --quiet -i) <archive
(cd u-root && "$folder/cpio" i) <archive
seen=$(for way in gnu u-root; do echo "$way:" $(cd $way && stat -c '%n %s' first second); done)
printf '%s\n' "$seen"
[ "$seen" = 'gnu: first 6 second 6
u-root: first 0 second 6' ] || { echo 'it has changed'; exit 1; }
