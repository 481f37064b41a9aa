// Package commands tests that the commands on the project's pages work as they are
// printed, in a network and a file system of their own.
package commands
