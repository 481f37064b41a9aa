package agent

import "testing"

// makePipe makes nothing: there are no named pipes in folders.
func makePipe(*testing.T, string) {}
