#!/usr/bin/env bash
# cavaliergopher/cpio (Go): one file with a checksum spoils each archive that is written later.
#
# A newc archive's entries begin with 070701, or with 070702 if they have a checksum of their data
# (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). The library writes both, as
# its README says: Header.Checksum decides. But once it has written 070702 it does so for whatever
# follows, in this archive and in all others of the process, with a checksum of 0, and no error is
# returned. GNU cpio says of each such file that its checksum is wrong.
# Seen with cavaliergopher/cpio 1.0.1 (Go 1.26.8) and GNU cpio 2.13.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
export GOMODCACHE=$folder/modules GOFLAGS=-mod=mod GOTOOLCHAIN=local
cat >main.go <<'END'
package main

import (
	"os"

	"github.com/cavaliergopher/cpio"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// write makes an archive of one file, with its checksum or without.
func write(path, content string, summed bool) {
	file, err := os.Create(path)
	must(err)
	defer file.Close()
	header := &cpio.Header{
		Name: path + ".txt", Mode: cpio.TypeReg | 0o644, Links: 1, Size: int64(len(content)),
	}
	if summed {
		for _, each := range []byte(content) {
			header.Checksum += uint32(each)
		}
	}
	archive := cpio.NewWriter(file)
	must(archive.WriteHeader(header))
	_, err = archive.Write([]byte(content))
	must(err)
	must(archive.Close())
}

func main() {
	write("before", "one\n", false)
	write("summed", "two\n", true)
	write("after", "three\n", false)
}
END
{
  go mod init finding
  go get github.com/cavaliergopher/cpio@v1.0.1
  go build -o archives .
} >said 2>&1 || { cat said; exit 1; }
./archives
for name in before summed after; do
  said=$(cpio -i --quiet --to-stdout <$name 2>&1 >/dev/null)
  echo "$name: $(head -c 6 $name)${said:+ $said}"
done >seen
cat seen
[ "$(cat seen)" = 'before: 070701
summed: 070702
after: 070702 cpio: after.txt: checksum error (0x222, should be 0x0)' ] || {
  echo 'it has changed'
  exit 1
}
