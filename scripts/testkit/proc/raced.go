//go:build race

package proc

// buildFlags build the program as the tests were built.
var buildFlags = []string{"-race"}
