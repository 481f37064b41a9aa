# To be sourced: installs packages on Debian, and makes a Debian.

# debian_install PACKAGE... installs packages. Services that they bring are not
# started.
debian_install() {
	local policy=/usr/sbin/policy-rc.d status
	if [ -e $policy ]; then
		policy=
	else
		printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy || return 1
	fi
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -qy --no-install-recommends "$@"
	status=$?
	[ -z "$policy" ] || rm -f $policy
	return $status
}

# debian_tar FILE makes an archive of a small Debian with systemd, of the release that
# this machine has.
debian_tar() {
	local shm=/dev/shm # a disk is slow at so many files
	[ -w $shm ] || shm=$(dirname "$1")
	TMPDIR=$shm mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$1"
}
