// Package compat tests the program called as serf, and as process 1, against what
// stock serf does. It also tests what stock serf hands to an event handler.
package compat
