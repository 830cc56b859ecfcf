#!/usr/bin/env bash
# go-containerregistry (`crane export`): a hard link gets the content of what replaced its target.
#
# A layer's tar has a file once, and its other names as hard links to the first (tar's format, and
# OCI's image-spec, layer.md). A later layer that replaces the first name, as the upgrade of a
# package does, leaves the others as they were: so it is for whoever unpacks layer upon layer.
# mutate.Extract() goes from the top down and leaves out names that it has had, so that the link
# leads to the new file then; where the first name is deleted it leads to nothing, and tar fails.
# Seen with go-containerregistry 0.22.1; GNU tar 1.34, which applies the layers in turn, beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
export GOMODCACHE=$folder/modules GOCACHE=$folder/cache GOFLAGS=-mod=mod GOTOOLCHAIN=local
mkdir one two in-turn flat program
echo old >one/first
ln one/first one/second
echo new >two/first
tar -C one -cf one.tar first second
tar -C two -cf two.tar first
cat >program/main.go <<'END'
package main

import (
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	image := empty.Image
	for _, path := range os.Args[1:] {
		layer, err := tarball.LayerFromFile(path)
		if err != nil {
			panic(err)
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			panic(err)
		}
	}
	if _, err := io.Copy(os.Stdout, mutate.Extract(image)); err != nil {
		panic(err)
	}
}
END
(
  cd program
  go mod init finding
  go get github.com/google/go-containerregistry@v0.22.1
  go build -o ../flatten .
) >said 2>&1 || { cat said; exit 1; }
./flatten one.tar two.tar >flat.tar
tar -C flat -xf flat.tar
for layer in one two; do tar -C in-turn -xf $layer.tar; done
seen=$(for way in in-turn flat; do echo "$way:" $(cd $way && grep . first second); done)
printf '%s\n' "$seen"
[ "$seen" = 'in-turn: first:new second:old
flat: first:new second:new' ] || { echo 'it has changed'; exit 1; }
