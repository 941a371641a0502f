#!/bin/sh
# What mkfs.erofs 1.9 or newer alone makes of an OCI layout: an image of each layer, one of their merged metadata and a
# VMDK. Of older ones, only the images of the layers. MKFS_EROFS names the program.
# usage: mkfs.sh LAYOUT DIRECTORY
set -eu
layout=$1 out=$2 mkfs=${MKFS_EROFS:-mkfs.erofs}
mkdir -p "$out"
blob() { echo "$layout/blobs/$(echo "$1" | tr : /)"; }
manifest=$(blob "$(jq -r '.manifests[0].digest' "$layout/index.json")")
set --
for pair in $(jq -r '.layers[] | .digest + "," + .mediaType' "$manifest"); do
    image=$out/$(($# + 1)).erofs
    case $pair in
    *gzip) gzip -dc "$(blob "${pair%%,*}")" ;;
    *zstd) zstd -dcq "$(blob "${pair%%,*}")" ;;
    *) cat "$(blob "${pair%%,*}")" ;;
    esac | "$mkfs" --quiet -Enoinline_data --aufs --tar=f "$image" /dev/stdin
    set -- "$@" "$image"
done
[ $# -lt 2 ] || ! "$mkfs" --help | grep -q vmdk-desc ||
    "$mkfs" --quiet --ovlfs-strip=1 --vmdk-desc="$out/rootfs.vmdk" "$out/fsmeta.erofs" "$@"
