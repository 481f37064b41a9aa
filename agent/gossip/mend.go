package gossip

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"
)

const (
	// denyWait is how long a member has to deny that it leaves.
	denyWait = time.Second
	denyPoll = 10 * time.Millisecond
	// knowTries is how often a member is asked whether it knows this node, until it
	// answers. It has knowWait for that. A query can get lost.
	knowTries = 3
	knowWait  = time.Second
	// conflictQuery is the query in which serf asks how members see a node.
	conflictQuery = serf.InternalQueryPrefix + "conflict"
)

// ForceLeave declares that a member has left, and with prune it is forgotten. If the
// member is alive and says so, it stays a member, also with prune. Then denied is true.
// It waits for the member's answer, for a second at most.
func (n *Node) ForceLeave(name string, prune bool) (denied bool, err error) {
	if _, alive := n.presence.node(name); alive && name != n.denier.self {
		if err := n.RemoveFailedNode(name); err != nil {
			return false, err
		}
		if n.ask(name); len(n.leaving([]string{name})) == 0 {
			return true, nil
		}
		if !prune {
			return false, nil
		}
	}
	if prune {
		return false, n.RemoveFailedNodePrune(name)
	}
	return false, n.RemoveFailedNode(name)
}

// Mend brings back members that are alive, and that serf lists as leaving or not at
// all. Somebody forced them to leave. It also asks members that may not list this node.
// The error says which of them do not, and what to do.
//
// It waits for the answers of members, for a few seconds at most, and for none if
// nothing is to be mended.
func (n *Node) Mend() error {
	n.presence.retell(n.Members)
	var names []string
	for _, m := range n.Members() {
		if _, alive := n.presence.node(m.Name); alive && m.Status == serf.StatusLeaving && m.Name != n.denier.self && len(names) < mostDoubtful {
			names = append(names, m.Name)
		}
	}
	n.ask(names...)
	knows := n.knowing(n.denier.doubts())
	for name := range knows {
		if node, alive := n.presence.node(name); alive && !knows[name] {
			// An agentctl agent then takes this node back. That it did shows in its answer.
			n.Memberlist().Join([]string{name + "/" + node.Address()})
		}
	}
	ignorant := without(knows)
	maps.Copy(knows, n.knowing(ignorant))
	if ignorant = without(knows); len(ignorant) == 0 {
		return nil
	}
	return fmt.Errorf("%s: the list of members there lacks this node, which lives; most likely somebody forced it to leave with -prune. Serf takes it back only after it has left by itself: run \"leave\" at this node, and start its agent again",
		strings.Join(ignorant, ", "))
}

// ask tells members that they leave, until they deny it or denyWait has passed. One that
// does leave says nothing.
func (n *Node) ask(names ...string) {
	for _, name := range names {
		if node, alive := n.presence.node(name); alive {
			// By a stream: it arrives, or the node does not live. Its own time limit ends
			// a dial that hangs.
			go n.Memberlist().SendReliable(&node, (&leaveMessage{n.memberClock(), name}).encode())
		}
	}
	for end := time.Now().Add(denyWait); len(n.leaving(names)) > 0 && time.Now().Before(end); {
		time.Sleep(denyPoll)
	}
}

// leaving are those of the names that serf does not list as alive.
func (n *Node) leaving(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	alive := map[string]bool{}
	for _, m := range n.Members() {
		alive[m.Name] = m.Status == serf.StatusAlive
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return alive[name] })
}

// knowing asks members whether they list this node as alive, and tells what those say
// that answer in time.
func (n *Node) knowing(names []string) map[string]bool {
	knows := map[string]bool{}
	for range knowTries {
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, answered := knows[name]; return answered })
		if len(names) == 0 {
			break
		}
		resp, err := n.Query(conflictQuery, []byte(n.denier.self), &serf.QueryParam{FilterNodes: names, Timeout: knowWait})
		if err != nil {
			break // with protocol 3 there are no queries
		}
		answers := 0
		for r := range resp.ResponseCh() {
			if status, err := knownAs(r.Payload); err == nil {
				knows[r.From] = status == serf.StatusAlive
			}
			if answers++; answers == len(names) {
				break
			}
		}
		resp.Close()
	}
	return knows
}

// without are the names of those that do not know this node, sorted.
func without(knows map[string]bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(knows)), func(name string) bool { return knows[name] })
}

// memberClock is the Lamport time that serf's next message about a member gets.
func (n *Node) memberClock() serf.LamportTime {
	t, _ := strconv.ParseUint(n.Stats()["member_time"], 10, 64) // serf has formatted it
	return serf.LamportTime(t)
}
