#!/usr/bin/env bash
# What the Debian package promises, from its installation until it is purged, proved against a real
# systemd: one line for each sentence. Runs inside the lab (see run-package), where nothing of shoutd is
# installed; /opt has the package, and the same with a higher version.
set -eEuo pipefail
# shellcheck source=tests/systemd/sentences.sh
. "${0%/*}/sentences.sh"

export DEBIAN_FRONTEND=noninteractive
# a container's machine forbids packages to start anything
rm -f /usr/sbin/policy-rc.d
# what can be had elsewhere is of no use without a network, and takes apt seconds to read; so does the
# index of all manual pages
rm -rf /var/lib/apt/lists/* /var/lib/man-db/auto-update
# at another width man would keep what it typeset
export MANWIDTH=100

apt() { # ARGUMENT...: what it says is shown only if it fails
    apt-get -qq -y "$@" < /dev/null > /run/apt 2>&1 || { cat /run/apt; return 1; }
}
named_so() { find /etc /opt /run /srv /usr /var -name '*shoutd*' | sort; }
enabled() { systemctl is-enabled "$1" 2> /dev/null || :; }
version() { dpkg-query --show --showformat '${Version}' shoutd; }
units() { # that there is none is a failure to the second
    systemctl list-units --all --no-legend 'shoutd*'
    systemctl list-unit-files --no-legend 'shoutd*' || :
}

# ---- what is in it -------------------------------------------------------------------------------
check 'the package has what it should, with the rights it should' diff - \
    <(dpkg-deb --fsys-tarfile /opt/shoutd.deb | tar -tv --numeric-owner | awk '!/\/$/ { print $1, $2, $6 }' | sort -k 3) << 'CONTENTS'
-rw-r--r-- 0/0 ./etc/shoutd/config.toml
-rwxr-xr-x 0/0 ./usr/bin/shoutd
-rw-r--r-- 0/0 ./usr/lib/systemd/system/shoutd.service
-rw-r--r-- 0/0 ./usr/lib/systemd/system/shoutd.socket
-rw-r--r-- 0/0 ./usr/share/bash-completion/completions/shoutd
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/README.md
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/changelog.gz
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/copyright
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/examples/aliases.tsv
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/examples/base64.toml
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/examples/crlf.toml
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/examples/ebcdic.toml
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/examples/open.toml
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/examples/peer.toml
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/examples/redact.toml
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/examples/socketmap.toml
-rw-r--r-- 0/0 ./usr/share/doc/shoutd/examples/whoami.toml
-rw-r--r-- 0/0 ./usr/share/fish/vendor_completions.d/shoutd.fish
-rw-r--r-- 0/0 ./usr/share/man/man1/shoutd.1.gz
-rw-r--r-- 0/0 ./usr/share/man/man5/shoutd.toml.5.gz
-rw-r--r-- 0/0 ./usr/share/zsh/vendor-completions/_shoutd
CONTENTS
check 'the configuration is the administrator'\''s' \
    is "$(dpkg-deb --ctrl-tarfile /opt/shoutd.deb | tar -xO ./conffiles)" $FILE

# ---- installation --------------------------------------------------------------------------------
before=$(named_so)
check 'apt installs it without any network' apt install /opt/shoutd.deb
check 'it runs, and answers' answers localhost 5000
check 'as it will after a boot' is "$(enabled shoutd.service)" enabled
check 'the socket unit is there, and left alone' \
    is "$(enabled shoutd.socket) $(prop ActiveState shoutd.socket)" 'disabled inactive'
check 'systemd finds nothing to complain of in the units' \
    is "$(systemd-analyze verify --recursive-errors=yes shoutd.service shoutd.socket 2>&1 || echo failed)" ''
check 'man shoutd has its manual page' has "$(man shoutd)" 'EXIT STATUS'
check 'and man shoutd.toml that of the configuration' has "$(man shoutd.toml)" drain_timeout

# ---- another port, without a restart -------------------------------------------------------------
exec {client}<> /dev/tcp/localhost/5000
exchange 'before the edit'
sed -i 's/5000/5001/' $FILE
check 'with another port in the configuration, systemctl reload succeeds' systemctl reload shoutd.service
check 'new clients are served there' answers localhost 5001
check 'and refused at the old one' not answers localhost 5000
check 'where who came before talks on' exchange 'after the edit'
exec {client}>&-

# ---- upgrade -------------------------------------------------------------------------------------
old=$(version) process=$(prop MainPID)
while [ ! -e /run/enough ]; do
    answers localhost 5001 || echo refused
    sleep 0.02
done > /run/refused &
check 'apt upgrades it' apt install /opt/newer.deb
touch /run/enough
wait
check 'to the newer version' is "$(version)" "$old+newer"
check 'whose program runs' not prop_is MainPID "$process"
check 'with the configuration as it was edited' grep -q 5001 $FILE
check 'and no client was refused meanwhile' is "$(cat /run/refused)" ''

systemctl disable --now --quiet shoutd.service
check 'where it is disabled' apt install --reinstall /opt/newer.deb
check 'no upgrade starts or enables it' is "$(enabled shoutd.service) $(prop ActiveState)" 'disabled inactive'
systemctl enable --now --quiet shoutd.service

# ---- removal -------------------------------------------------------------------------------------
systemctl start shoutd.service
check 'apt removes it' apt remove shoutd
check 'it is stopped' not answers localhost 5001
check 'its configuration is kept' grep -q 5001 $FILE
check 'and so it is' apt install /opt/newer.deb
check 'when it is installed again' answers localhost 5001
check 'apt purges it' apt purge shoutd
check 'nothing of it is left in the file system' diff <(echo "$before") <(named_so)
check 'nor in systemd' is "$(units)" ''

# ---- without the package -------------------------------------------------------------------------
# shellcheck disable=SC2016 # nor must systemd expand it
odd='/opt/a b;100%n$HOME${HOME}'
mkdir -p "$odd" /etc/shoutd
dpkg-deb --fsys-tarfile /opt/shoutd.deb | tar -xO ./usr/bin/shoutd > "$odd/shoutd"
chmod 755 "$odd/shoutd"
"$odd/shoutd" config --full > "$odd/config.toml"
"$odd/shoutd" unit -c "$odd/config.toml" > /etc/systemd/system/shoutd.service
systemctl daemon-reload
check 'with the unit that it prints, it starts from wherever it lies' systemctl enable --now --quiet shoutd.service
check 'and answers' answers localhost 5000
