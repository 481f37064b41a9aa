// Package proc runs the whole program, and stock serf, as processes beside a test,
// and asks them how they are. Tests that use it are system tests: they stand in
// scripts/systest, need real time, and run one after the other.
//
// A package of system tests has a TestMain that calls [Main]. Its tests then find
// the program as "agentctl" on the PATH. A process writes what it prints to files.
// It is killed at the end of the test, and a test fails whose process has printed
// a panic or a data race.
package proc
