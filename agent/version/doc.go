// Package version tells which agentctl this is, and what it is made of.
//
// A build may set [Version] with the linker, and nothing changes it afterwards.
// [ReadBuild] adds what the Go toolchain recorded in the program. The revision
// or serf's version is empty if the toolchain did not record it, for example in
// a test. ReadBuild reads no file and never fails.
package version
