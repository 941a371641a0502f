#!/bin/sh
# The least that a pull can cost: curl fetches the blobs of a single manifest to files, four at a time. Nothing
# is checked or unpacked.
# usage: transfer.sh HOST/NAME:TAG DIRECTORY
set -eu
host=${1%%/*} name=${1#*/}
tag=${name##*:} name=${name%:*}
types="application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
curl -sf -H "Accept: $types" "http://$host/v2/$name/manifests/$tag" -o "$2/manifest.json"
grep -o 'sha256:[0-9a-f]*' "$2/manifest.json" | sort -u |
    sed "s#\(.*\)#url = http://$host/v2/$name/blobs/\1\noutput = $2/\1#" |
    curl -sf --no-progress-meter --parallel --parallel-max 4 --config -
