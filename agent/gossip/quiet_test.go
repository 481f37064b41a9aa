package gossip

import (
	"log"
	"testing"

	"agentctl/scripts/testkit"
)

// What happens in a node's ordinary life is no warning, and all else goes out as it is.
func TestOrdinaryLifeIsQuiet(t *testing.T) {
	t.Parallel()
	text := new(testkit.LogBuffer)
	logger := quieter(log.New(text, "p ", 0), "n1")
	for _, line := range []string{
		"[WARN] memberlist: failed to resolve gw: no such host", "[WARN] memberlist: Refuting a dead message (from: n1)",
		"[WARN] memberlist: Refuting a dead message (from: n2)", "[WARN] memberlist: Refuting a suspect message (from: n1)", "[INFO] serf: x [WARN] memberlist",
	} {
		logger.Print(line)
	}
	testkit.Want(t, "log", text.String(), `p [DEBUG] memberlist: failed to resolve gw: no such host
p [DEBUG] memberlist: Refuting a dead message (from: n1)
p [WARN] memberlist: Refuting a dead message (from: n2)
p [WARN] memberlist: Refuting a suspect message (from: n1)
p [INFO] serf: x [WARN] memberlist
`)
}
