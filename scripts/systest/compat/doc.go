// Package compat tests the program called as serf, and as process 1, against what stock serf does.
package compat
