package cluster

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// testFiles has stock serf and ours, called as serf, run one node by
// turns, each with the snapshot, keyring and tags file that the other has left.
func testFiles(t *testing.T) {
	for _, version := range []string{stock.V011, stock.V070} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			ours, theirs, dir := asSerf(t), stock.Serf(t, version), t.TempDir()
			peer := newKongSerf(t, "peer", ours, "-encrypt", proc.FirstKey)
			flags := []string{"-node", "n"}
			for flag, text := range map[string]string{"snapshot": "", "keyring-file": `["` + proc.FirstKey + `"]`, "tags-file": `{"zone":"a"}`} {
				file := filepath.Join(dir, flag)
				if text != "" {
					testkit.WriteTo(t, file, text)
				}
				flags = append(flags, "-"+flag, file)
			}
			tags := map[string]string{"zone": "a"}
			gossip, rpc := loopback.Port(), loopback.Port()
			for i, program := range []string{theirs, ours, theirs} {
				n := kongSerfAt(t, gossip, rpc, fmt.Sprint("n", i), program, flags...)
				if i == 0 { // later ones know the peer by the snapshot
					proc.Output(t, n.program, "join", "-rpc-addr="+n.RPC, peer.Gossip)
				}
				n.sees(t, 2)
				if got := proc.Members(t, n.program, n.Node)["n"].Tags; !maps.Equal(got, tags) {
					t.Errorf("turn %d: the tags are %v, want %v", i, got, tags)
				}
				tags["turn"] = fmt.Sprint(i)
				proc.Output(t, n.program, "tags", "-rpc-addr="+n.RPC, "-set", "turn="+tags["turn"])
				testkit.WaitFor(t, "the snapshot has the peer", func() bool {
					n.publish(t, "to have it written") // a snapshot is flushed as it grows
					text, err := os.ReadFile(filepath.Join(dir, "snapshot"))
					return err == nil && strings.Contains(string(text), " "+peer.Gossip+"\n")
				})
				n.End(t) // with no warning
			}
		})
	}
}
