#!/usr/bin/env bash
# cavaliergopher/cpio (Go): a device of an initramfs that goes through it is device 0:0 afterwards.
#
# In a newc archive a device has the numbers of what it stands for, c_rmaj and c_rmin (Linux,
# Documentation/driver-api/early-userspace/buffer-format.rst); /dev/console, which an initramfs
# should have, is 5:1. The library knows the types of devices (TypeChar, TypeBlock), and its Header
# has a DeviceID. But that is neither read nor written, nor is anything else of the numbers: whoever
# copies an archive, to put a file into it, has every device as 0:0 in the copy, and no error is
# returned. The archive here is made by a few lines of shell, since mknod would want root.
# Seen with cavaliergopher/cpio 1.0.1 (Go 1.26.8) and GNU cpio 2.13.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
export GOMODCACHE=$folder/modules GOFLAGS=-mod=mod GOTOOLCHAIN=local
cat >main.go <<'END'
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/cavaliergopher/cpio"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	from, to := cpio.NewReader(os.Stdin), cpio.NewWriter(os.Stdout)
	for {
		header, err := from.Next()
		if err == io.EOF {
			break
		}
		must(err)
		fmt.Fprintf(os.Stderr, "read: %s, DeviceID %d\n", header.Name, header.DeviceID)
		must(to.WriteHeader(header))
		_, err = io.Copy(to, from)
		must(err)
	}
	header := &cpio.Header{Name: "mine", Mode: cpio.TypeChar | 0o600, Links: 1, DeviceID: 5<<8 | 1}
	must(to.WriteHeader(header))
	must(to.Close())
}
END
{
  go mod init finding
  go get github.com/cavaliergopher/cpio@v1.0.1
  go build -o copy .
} >said 2>&1 || { cat said; exit 1; }
# The fields: inode, mode, owner, group, links, time, size, the archive's device, the device's own
# numbers, the length of the name, no checksum.
entry() {
  printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
    1 "$2" 0 0 1 0 0 0 0 "$3" "$4" $((${#1} + 1)) 0 "$1"
  head -c $(((4 - (110 + ${#1} + 1) % 4) % 4)) /dev/zero
}
{ entry console 0020600 5 1; entry 'TRAILER!!!' 0 0 0; } >given
./copy <given >copied 2>seen
list() { cpio -tv --quiet | awk -v way="$1" '{ print way ": " $1, $5, $6, $NF }'; }
{ list given <given; list copied <copied; } >>seen
cat seen
[ "$(cat seen)" = 'read: console, DeviceID 0
given: crw------- 5, 1 console
copied: crw------- 0, 0 console
copied: crw------- 0, 0 mine' ] || { echo 'it has changed'; exit 1; }
