/** Images for registries, as OCI layouts that umoci makes; those that take a while are kept in the cache. */

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { debianTarball, output } from "./debian.ts";

const CACHE = resolve(import.meta.dir, "../../node_modules/.cache/mydocker");

/** The default image's tar, which has a static bin/busybox. */
const BUSYBOX = resolve(import.meta.dir, "../../src/images/default/rootfs.tar.zst");

/** Runs a script with `$1` as the directory to make a layout in; `layout/` is moved to the cache when it has ended. */
function cached(name: string, script: string, ...args: string[]): string {
  const path = join(CACHE, name);
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, "oci-"));
  try {
    output(["bash", "-euc", script, "bash", folder, ...args]);
    renameSync(join(folder, "layout"), path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return path;
}

/** A Debian in one layer of more than 90 MB with gzip: `oci:…:debian`. */
export function debianLayout(): string {
  return cached(
    "oci-debian-1",
    `cd "$1"
     umoci init --layout layout
     umoci new --image layout:debian
     umoci unpack --image layout:debian bundle
     zstd -dc "$2" | tar -C bundle/rootfs --xattrs -xf -
     umoci repack --image layout:debian bundle
     umoci config --image layout:debian --config.cmd bash --config.env PATH=/usr/sbin:/usr/bin:/sbin:/bin
     umoci gc --layout layout`,
    debianTarball(),
  );
}

/** 20 layers that add, change, hide and replace: `oci:…:layers`. */
export function layersLayout(): string {
  return cached(
    "oci-layers-1",
    `cd "$1"
     umoci init --layout layout
     umoci new --image layout:layers
     umoci unpack --image layout:layers bundle
     root=bundle/rootfs
     mkdir -p $root/bin $root/opaque/inner $root/shared
     zstd -dc "$2" | tar -C $root -xf - bin/busybox
     for i in $(seq 20); do
       mkdir -p $root/dir$i $root/shared
       head -c 100000 /dev/urandom > $root/dir$i/random
       echo "layer $i" > $root/changed
       echo "$i" > $root/shared/$i
       ln -sf busybox $root/bin/tool$i
       ((i <= 3)) || rm -rf $root/dir$((i - 3))
       if ((i == 10)); then rm -rf $root/opaque; mkdir $root/opaque; echo new > $root/opaque/new; fi
       if ((i == 12)); then rm -rf $root/shared; ln -s dir12 $root/shared; fi
       if ((i == 13)); then rm $root/shared; mkdir $root/shared; fi
       umoci repack --refresh-bundle --image layout:layers bundle
     done
     umoci config --image layout:layers --config.cmd /bin/tool1 --config.env PATH=/bin
     umoci gc --layout layout`,
    BUSYBOX,
  );
}

/** Every odd kind of file, owner, mode, attribute and time: `oci:…:odd`. */
export function oddLayout(): string {
  return cached(
    "oci-odd-1",
    `cd "$1"
     umoci init --layout layout
     umoci new --image layout:odd
     umoci unpack --image layout:odd bundle
     cd bundle/rootfs
     mkdir -p bin d/e sticky setgid empty
     zstd -dc "$2" | tar -xf - bin/busybox
     ln bin/busybox bin/hard; ln -s busybox bin/soft; ln -s /absolute bin/absolute; ln -s missing dangling
     mkfifo fifo; mknod null c 1 3; mknod block b 7 0; mknod -m 600 big c 200 300
     echo a > file; chown 1234:5678 file; chmod 4755 file
     echo b > owned; chown 4000000000:3999999999 owned; chmod 0 owned
     chmod 1777 sticky; chgrp 50 setgid; chmod 2775 setgid; echo in > setgid/in
     echo caps > capable; setcap cap_net_raw+ep capable
     echo x > attributed; setfattr -n user.test -v value attributed; setfattr -n trusted.test -v 0x00ff00 attributed
     setfattr -n user.directory -v yes d
     truncate -s 5000000 sparse; printf end | dd of=sparse bs=1 seek=4000000 conv=notrunc status=none
     : > zero
     printf 'newline' > $'new\\nline'; printf 'latin' > $'latin-\\xe9'; printf 'utf8' > 'ütf-☃'
     long=$(printf 'n%.0s' $(seq 250)); mkdir -p "d/$long/$long"; echo long > "d/$long/$long/$long"
     ln -s "$long/$long/$long" d/link
     touch -d '1969-12-31 23:00:00.5 UTC' old; touch -d '2040-01-02 03:04:05.123456789 UTC' future
     touch -h -d '2001-02-03 04:05:06.789 UTC' dangling
     touch -d '2010-01-01 00:00:00.25 UTC' d/e empty
     cd ../..
     umoci repack --image layout:odd bundle
     umoci config --image layout:odd --config.cmd /bin/busybox --config.env PATH=/bin
     umoci gc --layout layout`,
    BUSYBOX,
  );
}

/** The same Debian in 20 layers, cut by name: `oci:…:debian20`. */
export function debianLayersLayout(): string {
  return cached(
    "oci-debian20-1",
    `cd "$1"
     mkdir tree layers; zstd -dc "$2" | tar -C tree --xattrs -xf -
     (cd tree; find . -mindepth 1 | LC_ALL=C sort) > names
     split -n l/20 -d names part.
     umoci init --layout layout
     blobs=layout/blobs/sha256 descriptors= ids= oci=application/vnd.oci.image
     # Moves a file to the blobs. Sets descriptor.
     blob() {
       local digest size
       digest=$(sha256sum < "$2" | cut -c-64) size=$(stat -c %s "$2")
       printf -v descriptor '{"mediaType":"%s","digest":"sha256:%s","size":%s' "$1" $digest $size
       mv "$2" $blobs/$digest
     }
     for part in part.*; do
       tar -C tree --no-recursion --numeric-owner --xattrs -T $part -cf layer.tar
       printf -v ids '%s,"sha256:%s"' "$ids" $(sha256sum < layer.tar | cut -c-64)
       gzip -6 layer.tar
       blob $oci.layer.v1.tar+gzip layer.tar.gz
       descriptors+=",$descriptor}"
     done
     printf '{"architecture":"%s","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[%s]}}' $3 "\${ids#,}" > config
     blob $oci.config.v1+json config
     printf '{"schemaVersion":2,"mediaType":"%s","config":%s},"layers":[%s]}' $oci.manifest.v1+json "$descriptor" "\${descriptors#,}" > manifest
     blob $oci.manifest.v1+json manifest
     printf '{"schemaVersion":2,"manifests":[%s,"annotations":{"org.opencontainers.image.ref.name":"debian20"}}]}' "$descriptor" > layout/index.json`,
    debianTarball(),
    process.arch === "arm64" ? "arm64" : "amd64",
  );
}
