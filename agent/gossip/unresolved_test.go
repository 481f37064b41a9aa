package gossip

import (
	"log"
	"testing"

	"agentctl/scripts/testkit"
)

// A name that is not known yet is no warning at each try, under our own name.
func TestNamesThatAreNotKnownAreQuiet(t *testing.T) {
	t.Parallel()
	text := new(testkit.LogBuffer)
	logger := quietResolving(log.New(text, "", 0))
	logger.Printf("[WARN] memberlist: failed to resolve gw: no such host")
	logger.Printf("[WARN] memberlist: Refuting a suspect message")
	testkit.Want(t, "log", text.String(), "[DEBUG] memberlist: failed to resolve gw: no such host\n[WARN] memberlist: Refuting a suspect message\n")
}
