// Package systest has, in its folders, the tests of the whole program against real
// parts: stock serf, nginx, caches, Kong's scripts, full disks, cut networks, and
// kills. Each folder is a subject.
//
// These tests need real time. They run one after the other, so that a busy machine is
// not made busier by the tests themselves. Only those that wait nearly all the time run
// side by side, within one test:
//
//	go test -p 1 ./scripts/systest/...
//
// Each test has a short form, which that command and scripts/check.sh run. The
// variables AGENTCTL_TEST_… make it longer; "scripts/check.sh -all" sets them. With
// -short all system tests are left out. A test that cannot run on a machine says so
// with testkit.NotRun, and scripts/check.sh lists it at its end.
package systest
