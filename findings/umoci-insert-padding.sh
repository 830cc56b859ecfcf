#!/usr/bin/env bash
# umoci: the layer that `umoci insert` writes ends within its last file's last block.
#
# Neither that block is filled up, nor do the two empty blocks follow that end an archive. GNU tar
# lists all of it, and then fails; Python's tarfile raises before it gives the last file. umoci's
# own unpack takes it, as does whatever reads tars with Go's archive/tar. So who applies the layers
# of other people's images must fill the last block up, once the digest has told that all is there.
# Seen with umoci 0.4.7 (Debian 12's package). 0.6.0, built from its source, ends the archive right:
# GNU tar takes it. Layers that older ones have made stay as they are.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
apt-get download -q umoci=0.4.7+ds-3+b7 >/dev/null 2>&1
dpkg-deb -x umoci_*.deb .
PATH=$folder/usr/bin:$PATH
umoci --version
mkdir files
echo hello >files/a
umoci init --layout image
umoci new --image image:one
umoci insert --image image:one files /srv 2>/dev/null
layer=$(python3 - <<'END'
import json

def blob(descriptor):
    return f"image/blobs/sha256/{descriptor['digest'][7:]}"

manifest = json.load(open(blob(json.load(open("image/index.json"))["manifests"][0])))
print(blob(manifest["layers"][-1]))
END
)
gzip -dc "$layer" >layer.tar
size=$(stat -c %s layer.tar)
echo "bytes of the tar: $size, $((size % 512)) of them in its last block"
[ $((size % 512)) -eq 6 ]
if tar -tf layer.tar 2>said; then echo 'tar takes it now'; exit 1; fi
cat said
grep -q 'Unexpected EOF in archive' said
python3 - <<'END'
import tarfile

try:
    print(tarfile.open("layer.tar").getnames())
except tarfile.ReadError as error:
    print(f"tarfile: {error}")
else:
    raise SystemExit("tarfile takes it now")
END
umoci unpack --rootless --image image:one bundle >/dev/null 2>&1
cat bundle/rootfs/srv/a
