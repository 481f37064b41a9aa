# To be sourced: installs packages on Debian.

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
