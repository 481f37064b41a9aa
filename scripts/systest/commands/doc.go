// Package commands tests the command line as its users have it. Scripts run commands
// beside clusters and stock serf. Other tests run the program under a service manager,
// and compare the fast way of "agentctl event" with the ordinary one. Commands on the
// project's pages run as they are printed, in a network and a file system of their own.
package commands
