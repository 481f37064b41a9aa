// Package compat tests the program called as serf, and as process 1, against what
// stock serf does. It also tests what stock serf hands to an event handler.
//
// TestCompat and TestCompatConfigurations compare hundreds of command lines and of
// configurations. Each difference that they find has to stand in a file of testdata,
// below its reason. The text of the reason stands in agent/COMPATIBILITY.md.
package compat
