#!/bin/sh
# Makes the trees of real packages that `packages.py` packs. Needs root, overlayfs, debootstrap, pip and npm, and
# takes a quarter of an hour. What is there is not made again.
# usage: packages.sh WORK
set -eu
work=$1
mkdir -p "$work"
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 '/debian/*$')}

[ -e "$work/base/etc/debian_version" ] || debootstrap --variant=minbase --merged-usr bookworm "$work/base" "$mirror"

# on_base NAME PACKAGE…: what installing the packages on `base` changes is left in $work/NAME.
on_base() {
    name=$1
    shift
    [ ! -e "$work/$name.done" ] || return 0
    rm -rf "$work/$name" "$work/.overlay" "$work/.merged"
    mkdir -p "$work/$name" "$work/.overlay" "$work/.merged"
    mount -t overlay overlay "$work/.merged" \
        -o "lowerdir=$work/base,upperdir=$work/$name,workdir=$work/.overlay"
    cp /etc/resolv.conf "$work/.merged/etc/resolv.conf"
    installed=0
    chroot "$work/.merged" sh -c "apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $* &&
        rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/* /var/cache/ldconfig/aux-cache" || installed=1
    umount "$work/.merged"
    [ $installed = 0 ] && touch "$work/$name.done"
}
on_base python-up python3 ca-certificates iputils-ping
on_base node-up nodejs ca-certificates

[ -d "$work/site-packages" ] || pip install --no-compile --only-binary=:all: --platform manylinux2014_x86_64 \
    --python-version 3.11 --target "$work/site-packages" \
    numpy==1.26.4 pandas==2.2.2 scipy==1.13.1 scikit-learn==1.5.1 requests==2.32.3 flask==3.0.3

if [ ! -d "$work/npm/node_modules" ]; then
    mkdir -p "$work/npm"
    echo '{"name":"bench-app","version":"1.0.0","private":true}' >"$work/npm/package.json"
    (cd "$work/npm" && npm install --ignore-scripts --no-audit --no-fund --omit=optional \
        next@14.2.5 react@18.3.1 react-dom@18.3.1 typescript@5.5.4 webpack@5.93.0 eslint@8.57.0 jest@29.7.0 \
        @babel/core@7.24.9 @babel/preset-env@7.24.8 date-fns@2.30.0 lodash@4.17.21 rxjs@7.8.1 core-js@3.37.1 \
        @mui/material@5.16.4 @mui/icons-material@5.16.4 @emotion/react@11.11.4 @emotion/styled@11.11.5 \
        aws-sdk@2.1659.0)
fi
