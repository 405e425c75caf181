#!/usr/bin/env bash
# Builds dist/edged_VERSION_ARCH.deb from bin/ (make build first).
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(echo "${1:-0.0.0}" | sed 's/^v//; s/^[^0-9]/0.0~&/')
arch=$(dpkg --print-architecture)
root=dist/deb
rm -rf "$root"
install -D -m 0755 bin/edged "$root/usr/bin/edged"
install -D -m 0755 bin/greenctl "$root/usr/bin/greenctl"
install -D -m 0644 packaging/edged.service "$root/usr/lib/systemd/system/edged.service"
install -D -m 0644 packaging/edged.yaml "$root/etc/edged/edged.yaml"
install -D -m 0644 LICENSE "$root/usr/share/doc/edged/copyright"
for program in edged greenctl; do
  ./scripts/sbom.sh "bin/$program" "$version" > "$root/usr/share/doc/edged/$program.cdx.json"
done
mkdir -p "$root/usr/share/man/man1" "$root/usr/share/man/man8"
bin/greenctl docs --man "$root/usr/share/man/man1"
go run -tags docs ./cmd/edged docs --man "$root/usr/share/man/man8"
find "$root/usr/share/man" -type f -exec gzip -9n {} +
while read -r shell to; do
  mkdir -p "$root/usr/share/$(dirname "$to")"
  bin/greenctl completion "$shell" > "$root/usr/share/$to"
done <<'C'
bash bash-completion/completions/greenctl
zsh zsh/vendor-completions/_greenctl
fish fish/vendor_completions.d/greenctl.fish
C
mkdir -p "$root/DEBIAN"
cat > "$root/DEBIAN/control" <<C
Package: edged
Version: $version
Architecture: $arch
Maintainer: The greenhouse authors <maintainers@localhost>
Section: misc
Priority: optional
Depends: adduser
Description: greenhouse edge daemon and its command line
 Keeps nodes and zones, runs the MQTT broker they talk to, the climate control
 loop, the telemetry history and the alarms.
C
echo /etc/edged/edged.yaml > "$root/DEBIAN/conffiles"
cat > "$root/DEBIAN/postinst" <<'C'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  adduser --quiet --system --group --home /var/lib/edged --no-create-home edged
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable --now edged.service
  fi
fi
C
cat > "$root/DEBIAN/prerm" <<'C'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now edged.service || true; fi
C
chmod 0755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm"
dpkg-deb --root-owner-group --build "$root" "dist/edged_${version}_${arch}.deb"
